import { randomUUID } from "node:crypto";
import type { TextWire } from "./wire.ts";

const ACCOUNT_SID = `AC${"5a".repeat(16)}`;
const AUTH_TOKEN = "sandbox-twilio-token";
const FROM = "+15005550006";

/** HTTP status → Twilio's code where a fault names none, and its words. */
const CODES: Readonly<Record<number, readonly [number, string]>> = {
  400: [20001, "Bad request"],
  401: [20003, "Authenticate"],
  403: [20005, "Account not active"],
  404: [20404, "The requested resource was not found"],
  429: [20429, "Too Many Requests"],
  500: [20500, "Internal Server Error"],
  503: [20503, "Service Unavailable"],
};

const PATH = /^\/2010-04-01\/Accounts\/([^/]+)\/Messages\.json$/;

/** Twilio's Messages resource, 2010-04-01, in JSON. */
export const twilio: TextWire = {
  api: "twilio",
  basePath: "",
  credentials: { ACCOUNT_SID, AUTH_TOKEN, FROM },
  environment: (url) => ({
    SMS_PROVIDER: "twilio",
    TWILIO_BASE_URL: url,
    TWILIO_ACCOUNT_SID: ACCOUNT_SID,
    TWILIO_AUTH_TOKEN: AUTH_TOKEN,
    TWILIO_FROM: FROM,
  }),
  route({ method, url, body }) {
    if (method !== "POST" || !PATH.test(url.pathname)) return null;
    return { kind: "message", number: new URLSearchParams(body).get("To") };
  },
  answer({ url, headers, body: form }, { take, isStopped }) {
    const [, account] = PATH.exec(url.pathname) ?? [];
    const basic = Buffer.from(`${account}:${AUTH_TOKEN}`).toString("base64");
    if (account !== ACCOUNT_SID || headers.authorization !== `Basic ${basic}`)
      return twilio.error(401);
    const fields = new URLSearchParams(form);
    const to = fields.get("To") ?? "";
    const from = fields.get("From");
    const service = fields.get("MessagingServiceSid");
    const body = fields.get("Body") ?? "";
    if (!headers["content-type"]?.startsWith("application/x-www-form-urlencoded"))
      return twilio.error(400, "21604");
    if (!/^\+[1-9]\d{6,14}$/.test(to))
      return wrong(21211, `The 'To' number ${to} is not a valid phone number.`);
    if (from === null && service === null) return wrong(21603, "A 'From' number is required.");
    if (body === "") return wrong(21602, "Message body is required.");
    if (body.length > 1_600) return wrong(21617, "The message exceeds the 1600 character limit.");
    if (isStopped(to))
      return wrong(21610, `The number ${to} has been blocked by an unsubscribe keyword.`);
    const sid = `SM${randomUUID().replaceAll("-", "")}`;
    take({ id: sid, from: from ?? service, to, body });
    const uri = `/2010-04-01/Accounts/${account}/Messages/${sid}`;
    const now = new Date().toUTCString().replace("GMT", "+0000");
    return {
      status: 201,
      body: {
        sid,
        account_sid: account,
        messaging_service_sid: service,
        from,
        to,
        body,
        status: service === null ? "queued" : "accepted",
        direction: "outbound-api",
        num_segments: service === null ? "1" : "0",
        num_media: "0",
        price: null,
        price_unit: "USD",
        error_code: null,
        error_message: null,
        api_version: "2010-04-01",
        date_created: now,
        date_updated: now,
        date_sent: null,
        uri: `${uri}.json`,
        subresource_uris: { media: `${uri}/Media.json` },
      },
    };
  },
  error(status, code) {
    const [usual, message] = CODES[status] ?? [20001, "Error"];
    return errorOf(status, code === undefined ? usual : Number(code), message);
  },
};

function wrong(code: number, message: string) {
  return errorOf(400, code, message);
}

function errorOf(status: number, code: number, message: string) {
  return {
    status,
    body: { code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status },
  };
}
