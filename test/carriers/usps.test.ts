import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { foldStatus } from "../../src/carriers/foldStatus.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { usps } from "../../src/carriers/usps.ts";
import { Secret } from "../../src/secret.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

const NUMBER = "9405511899560304177262";

function read(body: unknown, status = 200, trackingNumber = NUMBER) {
  return readAnswer(
    usps,
    { status, headers: {}, body: JSON.stringify(body), receivedAt: new Date() },
    { trackingNumber, carrierCode: "usps" },
  );
}

const scanned = (eventCode: string, more: object = {}) => ({
  trackingNumber: NUMBER,
  ...more,
  trackingEvents: [{ eventCode, eventTimestamp: "2026-03-04T06:00:00Z" }],
});

test("the Z behind a wall clock makes no instant", () => {
  expect(read(scanned("10")).events[0]).toMatchObject({
    occurredAt: null,
    localTime: "2026-03-04T06:00:00",
    timeZone: null,
  });
});

test("a scan keeps its identity when later answers add the GMT fields", () => {
  const event = { eventCode: "10", eventTimestamp: "2026-03-04T06:00:00Z", eventCity: "BOISE" };
  const gmt = { GMTTimestamp: "2026-03-04T13:00:00Z", GMTOffset: "-7:00" };
  const identity = (trackingEvents: object[]) => read({ trackingEvents }).events[0]?.identity;
  expect(identity([{ ...event, ...gmt }])).toBe(identity([event]));
});

test("flags come as booleans and as texts, and neither spoils an answer", () => {
  for (const flag of [true, "true", null])
    expect(read(scanned("10", { emailEnabled: flag, onTime: flag })).status).toBe("in_transit");
});

test("every code of the family 1500xx is about the number, and no other is", () => {
  const error = (code: string) => ({ error: { code: "400", message: "", errors: [{ code }] } });
  for (const code of ["150001", "150012", "150099"])
    expect(() => read(error(code), 400)).toThrow(
      expect.objectContaining({ outcome: "not_found", code }),
    );
  expect(() => read(error("160001"), 400)).toThrow(
    expect.objectContaining({ outcome: "rejected", code: "160001" }),
  );
});

test("a category is believed up to its colon, and only where the newest scan tells no stage", () => {
  const category = { statusCategory: "Delivery Attempt: Action Needed" };
  expect(read(scanned("GC", category)).status).toBe("exception");
  expect(read(scanned("OF", category)).status).toBe("out_for_delivery");
  expect(read(scanned("GC", category)).warnings).toEqual([]);
});

test("a category that only hearsay names may say delivered, and a person is told", () => {
  const { status, warnings } = read(scanned("GC", { statusCategory: "Delivered to Agent" }));
  expect(status).toBe("delivered");
  expect(warnings).toEqual(['status category "Delivered to Agent" is read by its name only']);
});

test("no text makes a status", () => {
  const text = "Delivered, Front Door/Porch";
  const body = { ...scanned("GC"), status: text, statusSummary: text, statusCategory: text };
  expect(foldStatus(read(body)).status).toBe("unknown");
});

test("the action a category asks for is the newest scan's alone", () => {
  const older = { eventCode: "53", eventTimestamp: "2026-03-01T06:00:00Z" };
  const { trackingEvents } = scanned("30");
  const body = {
    statusCategory: "Delivery Attempt: Action Needed",
    trackingEvents: [...trackingEvents, older],
  };
  expect(read(body).events.map(({ isActionRequired }) => isActionRequired)).toEqual([false, true]);
});

test("a number scanned with its ZIP code before it is the number that comes back", () => {
  expect(read(scanned("10"), 200, `42083702${NUMBER}`).warnings).toEqual([]);
  expect(read(scanned("10"), 200, "9205590036012345678018").warnings).toEqual([
    "the only shipment in the answer has another number",
  ]);
});

describe("over HTTP", () => {
  const scenario = {
    steps: [
      { stage: "in_transit", at: "2026-03-03T22:41:00-07:00", city: "BOISE", region: "ID" },
      { stage: "delivered", at: "2026-03-04T12:55:00-07:00", city: "BOISE", region: "ID" },
    ],
    shown: 2,
    signedBy: "R LIMON",
  } as const;

  test("a parcel is found with its instants, wall clocks and signer", async () => {
    const sandbox = await withSandbox({ scenarios: { [NUMBER]: scenario } });
    expect(await clientOf(sandbox, "usps").lookUp(NUMBER)).toMatchObject({
      kind: "found",
      tracking: {
        signedBy: "R LIMON",
        events: [
          { description: "Processed through USPS® Facility", timeZone: "-07:00" },
          { occurredAt: "2026-03-04T19:55:00Z", localTime: "2026-03-04T12:55:00" },
        ],
      },
    });
  });

  test("wrong credentials are rejected by the names of their variables", async () => {
    const sandbox = await withSandbox();
    const credentials = {
      CLIENT_ID: new Secret("canary-1"),
      CLIENT_SECRET: new Secret("canary-2"),
    };
    const result = await clientOf(sandbox, "usps", { credentials }).lookUp(NUMBER);
    expect(result).toMatchObject({
      error: {
        outcome: "rejected",
        message: expect.stringContaining("USPS_CLIENT_ID and USPS_CLIENT_SECRET"),
      },
    });
    expect(JSON.stringify(result)).not.toContain("canary");
  });
});

/** A folder with the carriers' official code lists and sample answers, which we may not pass on. */
const folder = process.env.CARRIER_SAMPLES;

function readSample<T>(path: string): T {
  return JSON.parse(readFileSync(join(folder ?? "", "usps", path), "utf8"));
}

describe.skipIf(!folder)("official samples (CARRIER_SAMPLES is set)", () => {
  test("every USPS event code is mapped as listed, and no other is", () => {
    const { event_codes } = readSample<{ event_codes: Record<string, [string, string]> }>(
      "status-codes.json",
    );
    expect({ ...usps.stages }).toEqual(
      Object.fromEntries(Object.entries(event_codes).map(([code, [, stage]]) => [code, stage])),
    );
  });

  test("every status category is read as listed where no scan tells a stage", () => {
    const { status_category_prefixes } = readSample<{
      status_category_prefixes: Record<string, string>;
    }>("status-codes.json");
    const names = Object.keys(status_category_prefixes);
    const stageOf = (statusCategory: string) => read(scanned("GC", { statusCategory })).status;
    expect(Object.fromEntries(names.map((name) => [name, stageOf(name)]))).toEqual(
      status_category_prefixes,
    );
  });

  test("every error code that says no status yet or another number is not found", () => {
    const { codes } = readSample<{ codes: Record<string, string> }>("error-codes.json");
    for (const code of Object.keys(codes)) expect(usps.outcomes?.[code]).toBe("not_found");
  });

  test("USPS's own example is accepted at 7:31 by the clock there", () => {
    const { body } = readSample<{ body: unknown }>("samples/detail-accepted.json");
    expect(read(body, 200, "X".repeat(20))).toMatchObject({
      status: "in_transit",
      events: [{ occurredAt: null, localTime: "2023-08-02T07:31:00", location: "RICHMOND, VA" }],
      warnings: [],
    });
  });

  test.each([
    ["samples/not-yet-available-404.json", "not_found", "150006"],
    ["samples/auth-error-401-no-tracking-scope.json", "rejected", "401"],
    ["samples/auth-error-401-insufficient-scope.json", "rejected", "401"],
    ["samples/rate-limited-429.json", "rate_limited", "429"],
    ["samples/summary-accepted-old-shape.json", "malformed", "NO_TRACKING"],
  ])("%s is %s", (path, outcome, code) => {
    const { status, body } = readSample<{ status: number; body: unknown }>(path);
    expect(() => read(body, status)).toThrow(expect.objectContaining({ outcome, code }));
  });
});
