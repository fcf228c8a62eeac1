import { sendBy } from "../src/notifications/sendBy.ts";

export default sendBy("email");
