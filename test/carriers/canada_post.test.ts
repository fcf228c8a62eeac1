import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { canada_post } from "../../src/carriers/canada_post.ts";
import { foldStatus } from "../../src/carriers/foldStatus.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { isLookupError } from "../../src/errors.ts";
import { Secret } from "../../src/secret.ts";
import { runCount } from "../helpers/runCount.ts";
import { readFixtures } from "./readFixtures.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

const NUMBER = "7357111317192327";
const SUBJECT = { trackingNumber: NUMBER, carrierCode: "canada_post" };

function answer(body: string, status = 200) {
  const receivedAt = new Date("2025-09-01T12:00:00Z");
  return readAnswer(canada_post, { status, headers: {}, body, receivedAt }, SUBJECT);
}

interface Parts {
  readonly code?: string;
  readonly date?: string;
  readonly time?: string;
  readonly zone?: string;
  readonly text?: string;
}

function detail(...scans: readonly Parts[]): string {
  const occurrences = scans.map(
    ({ code = "0100", date = "2025-03-10", time = "12:00:00", zone = "EST", text = "" }) =>
      `<occurrence><event-identifier>${code}</event-identifier><event-date>${date}</event-date>` +
      `<event-time>${time}</event-time><event-time-zone>${zone}</event-time-zone>` +
      `<event-description>${text}</event-description></occurrence>`,
  );
  return `<tracking-detail><pin>${NUMBER}</pin><significant-events>${occurrences.join("")}</significant-events></tracking-detail>`;
}

const messages = (code: string, description: string) =>
  `<messages><message><code>${code}</code><description>${description}</description></message></messages>`;

test("a number is asked about in English, by Canada Post's own media type", () => {
  expect(canada_post.request([SUBJECT])).toEqual({
    method: "GET",
    path: `/vis/track/pin/${NUMBER}/details`,
    headers: { accept: "application/vnd.cpc.track+xml", "accept-language": "en-CA" },
  });
});

test.each([
  ["NST", "2025-03-10T15:30:00Z", "-03:30"],
  ["NDT", "2025-03-10T14:30:00Z", "-02:30"],
  ["AST", "2025-03-10T16:00:00Z", "-04:00"],
  ["ADT", "2025-03-10T15:00:00Z", "-03:00"],
  ["EST", "2025-03-10T17:00:00Z", "-05:00"],
  ["EDT", "2025-03-10T16:00:00Z", "-04:00"],
  ["CST", "2025-03-10T18:00:00Z", "-06:00"],
  ["CDT", "2025-03-10T17:00:00Z", "-05:00"],
  ["MST", "2025-03-10T19:00:00Z", "-07:00"],
  ["MDT", "2025-03-10T18:00:00Z", "-06:00"],
  ["PST", "2025-03-10T20:00:00Z", "-08:00"],
  ["PDT", "2025-03-10T19:00:00Z", "-07:00"],
  [" edt ", "2025-03-10T16:00:00Z", "-04:00"],
  ["JAPAN", null, null],
  ["", null, null],
  ["constructor", null, null],
])("noon %j is %s", (zone, occurredAt, timeZone) => {
  expect(answer(detail({ zone })).events[0]).toMatchObject({
    occurredAt,
    timeZone,
    localTime: "2025-03-10T12:00:00",
    precision: "second",
  });
});

test("the host's own zone has no say", () => {
  const seen = ["Asia/Tokyo", "America/St_Johns", "UTC"].map((zone) => {
    vi.stubEnv("TZ", zone);
    return answer(detail({ zone: "PST" }, { zone: "" })).events;
  });
  expect(seen[1]).toEqual(seen[0]);
  expect(seen[2]).toEqual(seen[0]);
});

test("codes are compared as numbers and kept as written", () => {
  const statusOf = (code: string) => {
    const [event] = answer(detail({ code })).events;
    return [event?.rawCode, event?.status];
  };
  expect(statusOf("0174")).toEqual(["0174", "out_for_delivery"]);
  expect(statusOf("174")).toEqual(["174", "out_for_delivery"]);
  expect(statusOf("00001496")).toEqual(["00001496", "delivered"]);
  expect(statusOf("1740")).toEqual(["1740", null]);
  expect(statusOf("0")).toEqual(["0", null]);
  expect(statusOf("toString")).toEqual(["toString", null]);
});

test.each([
  ["Item being returned to sender", true],
  ["Item has been returned and is enroute to the Sender", true],
  ["Recipient refused item; item returning to sender.", true],
  ["RETURNED TO SENDER", true],
  ["Not claimed by recipient, being returned to the sender", true],
  ["Final Notice; Item will be returned to sender if not collected within 10 days", false],
  ["Item may be returned to sender", false],
  ["Item cannot be returned to sender", false],
  ["Return to sender was requested", false],
  ["If not claimed the item is returned to sender", false],
  ["Sender asked for its return", false],
  ["Item successfully delivered", false],
  ["", false],
])("an exception that says %j is a return: %s", (text, isReturn) => {
  const tracking = answer(detail({ code: "0150", text }));
  expect(tracking.isReturn).toBe(isReturn);
  expect(tracking.events[0]?.status).toBe(isReturn ? "return_to_sender" : "exception");
});

test("only an exception's text is read: no other code becomes a return by its words", () => {
  const text = "Item returned to sender";
  for (const [code, status] of [
    ["0100", "in_transit"],
    ["1496", "delivered"],
    ["9876", null],
  ] as const) {
    const tracking = answer(detail({ code, text }));
    expect([tracking.events[0]?.status, tracking.isReturn]).toEqual([status, false]);
  }
});

test("the order is Canada Post's, newest first, where zones leave it in doubt", () => {
  const scans = [
    { code: "0174", time: "08:00:00", zone: "" },
    { code: "0100", time: "09:00:00", zone: "" },
  ];
  const codes = answer(detail(...scans)).events.map(({ rawCode }) => rawCode);
  expect(codes).toEqual(["0100", "0174"]);
  expect(foldStatus(answer(detail(...scans))).status).toBe("out_for_delivery");
});

test.each([
  ["004", "No Pin History", 404, "not_found", "004"],
  ["004", "No Pin History", 200, "not_found", "004"],
  ["E002", "AAA Authentication Failure", 401, "rejected", "E002"],
  ["E002", "AAA Authentication Failure", 500, "rejected", "E002"],
  ["AA002", "Wrong endpoint", 403, "rejected", "AA002"],
  ["Server", "Rejected by SLM Monitor", 500, "rate_limited", "SLM"],
  ["Server", "Internal Error", 500, "unavailable", "Server"],
  ["9111", "Something", 400, "rejected", "9111"],
  ["9111", "Something", 200, "malformed", "9111"],
  ["", "", 200, "malformed", "none"],
])("message %j %j with HTTP %i is %s", (code, description, status, outcome, named) => {
  expect(() => answer(messages(code, description), status)).toThrow(
    expect.objectContaining({ outcome, code: named }),
  );
});

test("elements that are missing or empty cost nothing but themselves", () => {
  expect(answer(`<tracking-detail><pin>${NUMBER}</pin></tracking-detail>`).events).toEqual([]);
  const bare = "<event-date>2025-03-10</event-date>";
  const body = `<tracking-detail><pin/><significant-events><occurrence>${bare}</occurrence><occurrence/></significant-events></tracking-detail>`;
  expect(() => answer(body)).toThrow(expect.objectContaining({ code: "WRONG_SHAPE" }));
  expect(answer(body.replace("<occurrence/>", "")).events).toMatchObject([
    { rawCode: "none", isListed: false, localTime: "2025-03-10", precision: "date" },
  ]);
});

test("a time of day that is none leaves the day", () => {
  expect(answer(detail({ time: "25:00:00" })).events[0]).toMatchObject({
    occurredAt: null,
    localTime: "2025-03-10",
    precision: "date",
    rawTime: "2025-03-10 25:00:00 EST",
  });
});

test("an answer with pieces cut out or swapped ends in a tracking or one of our errors", () => {
  const bodies = readFixtures("canada_post").flatMap(({ reply, expected }) =>
    expected.outcome === "found" ? [String(reply.body)] : [],
  );
  const cut = fc
    .tuple(fc.constantFrom(...bodies), fc.nat(), fc.nat({ max: 60 }), fc.string({ unit: "binary" }))
    .map(([body, at, length, by]) => {
      const start = at % body.length;
      return body.slice(0, start) + by + body.slice(start + length);
    });
  const pieces = fc
    .tuple(fc.constantFrom(...bodies), fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 6 }))
    .map(([body, swaps]) => {
      const parts = body.split(/(?=<)/);
      for (const [a, b] of swaps) {
        const [i, j] = [a % parts.length, b % parts.length];
        [parts[i], parts[j]] = [parts[j] ?? "", parts[i] ?? ""];
      }
      return parts.join("");
    });
  fc.assert(
    fc.property(fc.oneof(cut, pieces), (body) => {
      try {
        const { events } = answer(body);
        for (const event of events) expect(event.occurredAt ?? event.localTime).not.toBeNull();
      } catch (error) {
        if (!isLookupError(error)) throw error;
        expect(error.code).not.toBe("PARSE_BUG");
      }
    }),
    { numRuns: runCount(200, 1_000) },
  );
});

test("over HTTP a history is found, and a return is one", async () => {
  const sandbox = await withSandbox({
    scenarios: {
      [NUMBER]: {
        steps: [
          { stage: "in_transit", at: "2025-03-10T06:19:57-04:00", city: "A < B & C" },
          { stage: "return_to_sender", at: "2025-03-11T08:27:43-04:00" },
          { stage: "delivered", at: "2025-03-14T10:00:00" },
        ],
        signedBy: "O'Miller & Co",
        estimatedDelivery: "2025-03-12",
      },
    },
  });
  const client = clientOf(sandbox, "canada_post");
  expect(await client.lookUp(NUMBER)).toMatchObject({
    tracking: {
      status: "in_transit",
      estimate: { from: "2025-03-12", precision: "date" },
      events: [{ location: "A < B & C", occurredAt: "2025-03-10T10:19:57Z" }],
    },
  });
  sandbox.advance(NUMBER);
  expect(await client.lookUp(NUMBER)).toMatchObject({ tracking: { isReturn: true } });
  sandbox.advance(NUMBER);
  const result = await client.lookUp(NUMBER);
  expect(result).toMatchObject({ tracking: { signedBy: "O'Miller & Co", warnings: [] } });
  if (result.kind === "found") expect(foldStatus(result.tracking).status).toBe("return_to_sender");
});

test.each(["API_USER", "API_PASSWORD"])("a wrong %s is refused", async (suffix) => {
  const sandbox = await withSandbox();
  const right = { API_USER: "sandbox-cp-user", API_PASSWORD: "sandbox-cp-password" };
  const credentials = Object.fromEntries(
    Object.entries({ ...right, [suffix]: "wrong" }).map(([key, text]) => [key, new Secret(text)]),
  );
  const client = clientOf(sandbox, "canada_post", { credentials });
  expect(await client.lookUp(NUMBER)).toMatchObject({
    error: { outcome: "rejected", code: "E002" },
  });
});

const folder = process.env.CARRIER_SAMPLES;

describe.skipIf(!folder)("Canada Post's samples (CARRIER_SAMPLES is set)", () => {
  const readSample = (path: string) =>
    readFileSync(join(folder ?? "", "canada-post", path), "utf8");

  test("every Canada Post code is mapped as listed, and no other is", () => {
    const lists: Record<string, unknown> = JSON.parse(readSample("status-codes.json"));
    const listed = Object.entries(lists).flatMap(([stage, codes]) =>
      Array.isArray(codes) ? codes.map((code) => [String(code), stage]) : [],
    );
    expect(listed.length).toBeGreaterThan(90);
    expect({ ...canada_post.stages }).toEqual(Object.fromEntries(listed));
  });

  test("a summary is not taken for a history", () => {
    expect(() => answer(readSample("samples/tracking-summary-200.xml"))).toThrow(
      expect.objectContaining({ outcome: "malformed", code: "WRONG_SHAPE" }),
    );
  });
});
