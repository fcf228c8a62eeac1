import { sendBy } from "../src/notifications/runSend.ts";

export default sendBy("email");
