import { createHash, createHmac, randomUUID } from "node:crypto";
import type { TextWire, WireReply, WireRequest } from "./wire.ts";

const REGION = "eu-west-1";
const ACCESS_KEY_ID = "AKIASANDBOX000000000";
const SECRET_ACCESS_KEY = "sandbox-sns-secret";
const NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/";

/** HTTP status → AWS's code where a fault names none. */
const CODES: Readonly<Record<number, string>> = {
  400: "InvalidParameter",
  403: "AuthorizationError",
  429: "Throttled",
  500: "InternalError",
  503: "ServiceUnavailable",
};

/** Amazon SNS by AWS's query protocol: a form goes in, XML comes out, and each request is signed (version 4). */
export const sns: TextWire = {
  api: "sns",
  basePath: "/sns",
  credentials: { REGION, ACCESS_KEY_ID, SECRET_ACCESS_KEY },
  environment: (url) => ({
    SMS_PROVIDER: "sns",
    SNS_BASE_URL: url,
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
  }),
  route({ method, url, body }) {
    if (method !== "POST" || !/^\/sns\/?$/.test(url.pathname)) return null;
    const form = new URLSearchParams(body);
    return { kind: "message", number: form.get("PhoneNumber") ?? form.get("phoneNumber") };
  },
  answer(request, { take, isStopped }) {
    const refusal = refusalOf(request);
    if (refusal !== null) return sns.error(403, refusal);
    const form = new URLSearchParams(request.body);
    if (form.get("Version") !== "2010-03-31") return sns.error(400, "InvalidAction");
    const number = form.get("PhoneNumber") ?? form.get("phoneNumber") ?? "";
    const isNumber = /^\+[1-9]\d{6,14}$/.test(number);
    switch (form.get("Action")) {
      case "CheckIfPhoneNumberIsOptedOut":
        if (!isNumber) return invalid(`phoneNumber Reason: ${number} is not valid`);
        return result(
          "CheckIfPhoneNumberIsOptedOut",
          `<isOptedOut>${isStopped(number)}</isOptedOut>`,
        );
      case "Publish": {
        if (!isNumber) return invalid(`PhoneNumber Reason: ${number} is not valid to publish to`);
        const body = form.get("Message") ?? "";
        if (body === "") return invalid("Empty message");
        const attributes = attributesOf(form);
        if (attributes.get("AWS.SNS.SMS.SMSType") !== "Transactional")
          return invalid("the sandbox takes transactional messages only");
        const id = randomUUID();
        // As SNS does: what goes to a phone that has answered STOP is dropped without a word.
        if (!isStopped(number))
          take({ id, from: attributes.get("AWS.SNS.SMS.SenderID") ?? null, to: number, body });
        return result("Publish", `<MessageId>${id}</MessageId>`);
      }
      default:
        return sns.error(400, "InvalidAction");
    }
  },
  error: (status, code = CODES[status] ?? "InternalError") => errorOf(status, code, code),
};

function attributesOf(form: URLSearchParams): Map<string, string> {
  const attributes = new Map<string, string>();
  for (let i = 1; form.has(`MessageAttributes.entry.${i}.Name`); i++) {
    const entry = `MessageAttributes.entry.${i}`;
    if (form.get(`${entry}.Value.DataType`) === "String")
      attributes.set(form.get(`${entry}.Name`) ?? "", form.get(`${entry}.Value.StringValue`) ?? "");
  }
  return attributes;
}

function invalid(what: string): WireReply {
  return errorOf(400, "InvalidParameter", `Invalid parameter: ${what}`);
}

function result(action: string, content: string): WireReply {
  return xml(
    200,
    `<${action}Response xmlns="${NAMESPACE}"><${action}Result>${content}</${action}Result>`,
    `</${action}Response>`,
  );
}

function errorOf(status: number, code: string, message: string): WireReply {
  const type = status < 500 ? "Sender" : "Receiver";
  return xml(
    status,
    `<ErrorResponse xmlns="${NAMESPACE}"><Error><Type>${type}</Type><Code>${code}</Code><Message>${message}</Message></Error>`,
    "</ErrorResponse>",
  );
}

function xml(status: number, start: string, end: string): WireReply {
  const id = randomUUID();
  const isError = start.startsWith("<ErrorResponse");
  const request = `<RequestId>${id}</RequestId>`;
  return {
    status,
    headers: { "content-type": "text/xml", "x-amzn-requestid": id },
    body: start + (isError ? request : `<ResponseMetadata>${request}</ResponseMetadata>`) + end,
  };
}

/** AWS's code where the signature is missing or wrong; null where it is right (AWS General Reference, "Signature Version 4"). */
function refusalOf({ method, url, headers, body }: WireRequest): string | null {
  const [, key, date = "", scope = "", names = "", signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? "",
    ) ?? [];
  if (key === undefined) return "MissingAuthenticationToken";
  if (key !== ACCESS_KEY_ID) return "InvalidClientTokenId";
  if (scope !== `${REGION}/sns/aws4_request` || !names.split(";").includes("host"))
    return "SignatureDoesNotMatch";
  const canonical = [
    method,
    url.pathname,
    "",
    ...names.split(";").map((name) => `${name}:${headers[name]?.trim()}`),
    "",
    names,
    sha256(body),
  ].join("\n");
  const text = [
    "AWS4-HMAC-SHA256",
    headers["x-amz-date"],
    `${date}/${scope}`,
    sha256(canonical),
  ].join("\n");
  let secret: string | Buffer = `AWS4${SECRET_ACCESS_KEY}`;
  for (const part of [date, REGION, "sns", "aws4_request"]) secret = hmac(secret, part);
  return hmac(secret, text).toString("hex") === signature ? null : "SignatureDoesNotMatch";
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
