import { z } from "zod";

/** What a `send_email`, `send_sms` or `send_webhook` job carries: an id only. */
export const sendPayload = z.object({ deliveryId: z.uuid() });
