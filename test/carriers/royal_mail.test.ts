import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { foldStatus } from "../../src/carriers/foldStatus.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { royal_mail } from "../../src/carriers/royal_mail.ts";
import { Secret } from "../../src/secret.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

const NUMBER = "RK876543216GB";
const SUBJECT = { trackingNumber: NUMBER, carrierCode: "royal_mail" };

function answer(body: unknown, status = 200, trackingNumber = NUMBER) {
  const text = JSON.stringify(body);
  const receivedAt = new Date("2025-09-01T12:00:00Z");
  return readAnswer(
    royal_mail,
    { status, headers: {}, body: text, receivedAt },
    { ...SUBJECT, trackingNumber },
  );
}

function piece(summary: object, events?: readonly object[]) {
  return { mailPieces: { mailPieceId: NUMBER, summary, events } };
}

const scan = (eventCode: string, eventDateTime: string) => ({ eventCode, eventDateTime });

test("one number is asked about, and the terms are accepted with each request", () => {
  expect(royal_mail.batchSize ?? 1).toBe(1);
  expect(royal_mail.request([SUBJECT])).toEqual({
    method: "GET",
    path: `/${NUMBER}/events`,
    headers: { "X-Accept-RMG-Terms": "yes" },
  });
});

test("a number is found by either of its barcodes, and another's answer is doubted", () => {
  const body = piece({ oneDBarcode: NUMBER, uniqueItemId: "0A12B34C5D000000FE1E2" });
  expect(answer(body, 200, "0A12B34C5D000000FE1E2").warnings).toEqual([]);
  expect(answer(body, 200, "AA111111111GB").warnings).toEqual([
    "the only shipment in the answer has another number",
  ]);
});

test.each([
  ["E1142", 404, "not_found"],
  ["E1142", 400, "not_found"],
  ["E1283", 404, "not_found"],
  ["E1284", 400, "not_found"],
  ["E1144", 400, "not_found"],
  ["E0004", 400, "rejected"],
  ["E0016", 403, "rejected"],
  ["E0010", 429, "rate_limited"],
  ["E0010", 403, "rate_limited"],
  ["E0001", 503, "unavailable"],
  ["E0009", 500, "unavailable"],
  ["E1307", 404, "unavailable"],
  ["E9999", 400, "rejected"],
  ["E9999", 200, "malformed"],
])("%s with HTTP %i is %s", (errorCode, status, outcome) => {
  const body = { httpCode: String(status), httpMessage: "Made up", errors: [{ errorCode }] };
  expect(() => answer(body, status)).toThrow(expect.objectContaining({ outcome, code: errorCode }));
});

test("an error in the footer is a refusal only where there is no mail piece", () => {
  const integrationFooter = { errors: [{ errorCode: "E1307" }] };
  const whole = piece({}, [scan("EVGPD", "2025-04-01T07:02:11+01:00")]);
  expect(answer({ ...whole, integrationFooter }).events).toHaveLength(1);
  expect(() => answer({ integrationFooter })).toThrow(
    expect.objectContaining({ outcome: "unavailable", code: "E1307" }),
  );
});

test("the last event is not told twice where the list has it", () => {
  const at = "2025-04-01T07:02:11+01:00";
  const summary = { lastEventCode: "EVGPD", lastEventDateTime: at };
  expect(answer(piece(summary, [scan("EVGPD", at)])).events).toHaveLength(1);
  const older = scan("EVDAV", "2025-03-31T07:02:11+01:00");
  expect(answer(piece(summary, [older])).events.map(({ rawCode }) => rawCode)).toEqual([
    "EVDAV",
    "EVGPD",
  ]);
});

test("the category is read only where the last code tells no stage", () => {
  const statusOf = (lastEventCode: string | undefined, statusCategory: string) => {
    const { status, warnings } = answer(piece({ lastEventCode, statusCategory }));
    return [status, warnings];
  };
  expect(statusOf("EVKNA", "DELIVERED")).toEqual(["exception", []]);
  expect(statusOf("ASRXS", "IN TRANSIT")).toEqual(["in_transit", []]);
  expect(statusOf("ASRXS", "DELIVERED")).toEqual([
    "delivered",
    ["last event ASRXS: its category DELIVERED was read instead"],
  ]);
  expect(statusOf(undefined, "In Transit")).toEqual([
    "in_transit",
    ["last event without a code: its category IN_TRANSIT was read instead"],
  ]);
  expect(statusOf("EVQQQ", "RETURNED")).toEqual([null, ['status code "EVQQQ" is not listed']]);
});

test("a category never outweighs the scans", () => {
  const summary = { lastEventCode: "EVQQQ", statusCategory: "DELIVERED" };
  const tracking = answer(piece(summary, [scan("EVGPD", "2025-04-01T07:02:11+01:00")]));
  expect(foldStatus(tracking).status).toBe("out_for_delivery");
});

test("half a window is the day alone, and a window is over once the parcel is delivered", () => {
  const estimateOf = (estimatedDelivery: object, ...codes: string[]) => {
    const events = codes.map((code) => scan(code, "2025-04-01T07:02:11+01:00"));
    return answer({ mailPieces: { estimatedDelivery, events } }).estimate;
  };
  const date = "2025-04-01";
  const day = { from: date, until: date, timeZone: null, precision: "date" };
  expect(estimateOf({ date, startOfEstimatedWindow: "08:00:00+01:00" }, "EVGPD")).toEqual(day);
  expect(estimateOf({ date: "2025-04-31" }, "EVGPD")).toBeNull();
  expect(estimateOf({ date }, "EVKSP")).toBeNull();
});

test("over HTTP a history is found, with signer and expected day", async () => {
  const sandbox = await withSandbox({
    scenarios: {
      [NUMBER]: {
        steps: [
          { stage: "pre_transit", at: "2025-03-31T16:20:05+01:00", city: "Norwich" },
          { stage: "no_change", at: "2025-04-01T06:00:00+01:00" },
          { stage: "delivered", at: "2025-04-01T09:15:42+01:00", city: "Oban" },
        ],
        shown: 2,
        signedBy: "Ada Miller",
        estimatedDelivery: "2025-04-01",
      },
    },
  });
  const client = clientOf(sandbox, "royal_mail");
  expect(await client.lookUp(NUMBER)).toMatchObject({
    kind: "found",
    tracking: { status: "in_transit", estimate: { from: "2025-04-01" }, signedBy: null },
  });
  sandbox.advance(NUMBER);
  const result = await client.lookUp(NUMBER);
  expect(result).toMatchObject({
    kind: "found",
    tracking: { status: "delivered", signedBy: "Ada Miller", warnings: [] },
  });
  if (result.kind === "found")
    expect(foldStatus(result.tracking).deliveredEvent?.occurredAt).toBe("2025-04-01T08:15:42Z");
});

test.each(["CLIENT_ID", "CLIENT_SECRET"])("a wrong %s is refused", async (suffix) => {
  const sandbox = await withSandbox();
  const right = { CLIENT_ID: "sandbox-rm-client", CLIENT_SECRET: "sandbox-rm-secret" };
  const credentials = Object.fromEntries(
    Object.entries({ ...right, [suffix]: "wrong" }).map(([key, text]) => [key, new Secret(text)]),
  );
  const client = clientOf(sandbox, "royal_mail", { credentials });
  expect(await client.lookUp(NUMBER)).toMatchObject({
    error: { outcome: "rejected", code: "HTTP_401" },
    calls: [{ httpStatus: 401 }],
  });
});

const folder = process.env.CARRIER_SAMPLES;

describe.skipIf(!folder)("Royal Mail's official samples (CARRIER_SAMPLES is set)", () => {
  const readSample = <T>(path: string): T =>
    JSON.parse(readFileSync(join(folder ?? "", "royal-mail", path), "utf8"));

  test("every Royal Mail code and category is mapped as listed, and no other is", () => {
    const { event_codes, status_category } =
      readSample<Record<"event_codes" | "status_category", Record<string, string>>>(
        "status-codes.json",
      );
    const { note: _, ...categories } = status_category;
    const named = Object.entries(categories).map(([name, stage]) => [
      name.replace(" ", "_"),
      stage,
    ]);
    expect(royal_mail.stages).toEqual({ ...event_codes, ...Object.fromEntries(named) });
  });

  test("the specification's example is one scan, with signer and window", () => {
    const { body } = readSample<{ body: unknown }>("samples/events-200.json");
    expect(answer(body, 200, "090367574000000FE1E1B")).toMatchObject({
      status: "in_transit",
      events: [{ occurredAt: "2016-10-20T09:04:00Z", timeZone: "+01:00", rawCode: "EVNMI" }],
      estimate: {
        from: "2017-02-20T08:00:00",
        until: "2017-02-20T11:00:00",
        timeZone: "+01:00",
        precision: "second",
      },
      signedBy: "Simon",
      warnings: [],
    });
  });

  test.each([
    ["401", 401, "rejected", "HTTP_401"],
    ["403", 403, "rejected", "E0016"],
    ["404", 404, "not_found", "E1142"],
    ["405", 405, "rejected", "HTTP_405"],
    ["429", 429, "rate_limited", "HTTP_429"],
    ["500", 500, "unavailable", "E0009"],
    ["400_missing_terms_header", 400, "rejected", "E0004"],
  ])("the specification's %s is HTTP %i: %s, %s", (name, status, outcome, code) => {
    const errors = readSample<Record<string, unknown>>("samples/errors.json");
    expect(() => answer(errors[name], status)).toThrow(expect.objectContaining({ outcome, code }));
  });
});
