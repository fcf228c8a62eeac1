import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { seventeen_track } from "../../src/carriers/seventeen_track.ts";
import { testOverHttp } from "./testOverHttp.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

const NUMBER = "1Z7X4W203706152847";
const UNKNOWN = "1Z7X4W203706152856";
const ASK = { carrierCode: "ups" };

const PARCEL = { steps: [{ stage: "in_transit", at: "2025-03-04T02:05:09-05:00" }] } as const;

test.each([
  ["ups", 100002],
  ["usps", 21051],
  ["fedex", 100003],
  ["dhl", 100001],
  ["royal_mail", 11031],
  ["parcelforce", 11033],
  ["canada_post", 3041],
  ["australia_post", 1151],
  ["la_poste", 6051],
  ["postnl", 14041],
])("a parcel of %s is asked for and registered under the number %d", (carrierCode, carrier) => {
  const subject = { trackingNumber: NUMBER, carrierCode };
  const lookup = seventeen_track.request([subject]);
  const register = seventeen_track.register?.(subject);
  expect([lookup.path, register?.path]).toEqual(["/gettrackinfo", "/register"]);
  for (const request of [lookup, register])
    expect(JSON.parse(request?.body ?? "")).toEqual([{ number: NUMBER, carrier }]);
});

test.each(["other", "seventeen_track", "constructor"])(
  "a carrier that 17TRACK has no number for (%s) is refused before any call",
  async (carrierCode) => {
    const sandbox = await withSandbox();
    const result = await clientOf(sandbox, "seventeen_track").lookUp(NUMBER, { carrierCode });
    expect(result).toMatchObject({
      kind: "failed",
      error: { outcome: "rejected", code: "CARRIER_NOT_SUPPORTED" },
      calls: [],
    });
    expect(sandbox.log).toEqual([]);
  },
);

test("many parcels are one request; each has its own end, and only the unknown one is registered", async () => {
  const sandbox = await withSandbox({ scenarios: { [NUMBER]: PARCEL } });
  const results = await clientOf(sandbox, "seventeen_track").lookUpMany([
    { trackingNumber: UNKNOWN, carrierCode: "ups" },
    { trackingNumber: NUMBER, carrierCode: "other" },
    { trackingNumber: NUMBER, carrierCode: "ups" },
  ]);
  expect(results).toMatchObject([
    { error: { outcome: "not_found", code: "REGISTERED" } },
    { error: { outcome: "rejected", code: "CARRIER_NOT_SUPPORTED" } },
    { kind: "found", tracking: { status: "in_transit" } },
  ]);
  expect(sandbox.log).toMatchObject([
    { kind: "lookup", numbers: [UNKNOWN, NUMBER] },
    { kind: "register", numbers: [UNKNOWN] },
  ]);
});

test("forty parcels are asked about at once", async () => {
  const numbers = Array.from({ length: 40 }, (_, i) => `1Z7X4W2037061528${10 + i}`);
  const sandbox = await withSandbox({
    scenarios: Object.fromEntries(numbers.map((number) => [number, PARCEL])),
  });
  const client = clientOf(sandbox, "seventeen_track");
  expect(client.batchSize).toBe(40);
  const subjects = numbers.map((trackingNumber) => ({ trackingNumber, ...ASK }));
  const results = await client.lookUpMany(subjects);
  expect(new Set(results.map(({ kind }) => kind))).toEqual(new Set(["found"]));
  expect(sandbox.log).toHaveLength(1);
});

test("what has been registered is not registered again, and is found when it has news", async () => {
  const sandbox = await withSandbox();
  const client = clientOf(sandbox, "seventeen_track");
  await client.lookUp(UNKNOWN, ASK);
  expect(await client.lookUp(UNKNOWN, ASK)).toMatchObject({
    error: { outcome: "not_found", code: "NO_EVENT" },
    calls: [{ kind: "lookup" }],
  });
  expect(sandbox.log.filter(({ kind }) => kind === "register")).toHaveLength(1);
  sandbox.script(UNKNOWN, PARCEL);
  expect((await client.lookUp(UNKNOWN, ASK)).kind).toBe("found");
});

test.each([
  [{ mode: "status", status: 401 }, "rejected"],
  [{ mode: "status", status: 429 }, "rate_limited"],
  [{ mode: "status", status: 503 }, "unavailable"],
] as const)("%j to a registration makes the lookup %s", async (fault, outcome) => {
  const sandbox = await withSandbox();
  sandbox.fault({ ...fault, kind: "register" });
  const result = await clientOf(sandbox, "seventeen_track").lookUp(UNKNOWN, ASK);
  expect(result).toMatchObject({ kind: "failed", error: { outcome } });
});

testOverHttp({
  code: "seventeen_track",
  number: NUMBER,
  carrierCode: "ups",
  otherwise: { cancelled: "exception", no_change: "unknown", unlisted: "unknown" },
});

const folder = process.env.CARRIER_SAMPLES;

describe.skipIf(!folder)("official samples (CARRIER_SAMPLES is set)", () => {
  test("every status is mapped as listed, and no other code is but the two of a return", () => {
    const file = join(folder ?? "", "17track/status-codes.json");
    const { status, errors } = JSON.parse(readFileSync(file, "utf8"));
    expect({ ...seventeen_track.stages }).toEqual({
      ...status,
      Exception_Returning: "return_to_sender",
      Exception_Returned: "return_to_sender",
    });
    const unmapped = Object.keys(errors).filter((code) => !seventeen_track.outcomes?.[code]);
    expect(unmapped).toEqual(["0"]);
  });
});
