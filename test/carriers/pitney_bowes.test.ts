import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { pitney_bowes } from "../../src/carriers/pitney_bowes.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { Secret } from "../../src/secret.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

const NUMBER = "9205590036012345678018";

function read(body: unknown) {
  return readAnswer(
    pitney_bowes,
    { status: 200, headers: {}, body: JSON.stringify(body), receivedAt: new Date() },
    { trackingNumber: NUMBER, carrierCode: "usps" },
  );
}

const scanned = (scan: object, more: object = {}) => ({
  trackingNumber: NUMBER,
  ...more,
  scanDetailsList: [{ eventDate: "2026-01-12", eventTime: "03:15:00", ...scan }],
});

test.each([
  ["usps", "USPS"],
  ["ups", "UPS"],
  ["fedex", "FedEx"],
  ["pitney_bowes", "PBCS"],
])("a parcel of %s is asked for as %s", (carrierCode, carrier) => {
  const { path, headers } = pitney_bowes.request([{ trackingNumber: NUMBER, carrierCode }]);
  expect(path).toBe(
    `/v1/tracking/${NUMBER}?packageIdentifierType=TrackingNumber&carrier=${carrier}`,
  );
  expect(headers).toMatchObject({ "X-PB-UnifiedErrorStructure": "true" });
});

test("a parcel of a carrier whose labels it does not sell is not asked for", async () => {
  const sandbox = await withSandbox();
  const client = clientOf(sandbox, "pitney_bowes");
  expect(await client.lookUp(NUMBER, { carrierCode: "royal_mail" })).toMatchObject({
    error: { outcome: "rejected", code: "UNSUPPORTED_CARRIER" },
    calls: [],
  });
});

test.each([
  [6484, "US", "X, 06484, US"],
  [501, undefined, "X, 00501"],
  ["06484", "US", "X, 06484, US"],
  [10115, "DE", "X, 10115, DE"],
  [1010, "AT", "X, 1010, AT"],
  ["K1A 0B1", "CA", "X, K1A 0B1, CA"],
  [undefined, "US", "X, US"],
])("the postal code %j in %s reads %s", (postalCode, country, location) => {
  const [event] = read(scanned({ eventCity: "X", postalCode, country, l1Code: "TRD" })).events;
  expect(event?.location).toBe(location);
});

test.each([
  [{ l1Code: "OFD", scanType: "DLD", packageStatus: "Delivered" }, "OFD", "out_for_delivery"],
  [{ standardizedEventCode: "AWP", scanType: "14" }, "AWP", "available_for_pickup"],
  // Its own network's scans, and answers without standard codes.
  [{ scanType: "DLD", packageStatus: "In Transit" }, "DLD", "delivered"],
  [{ scanType: "01", packageStatus: "Delivered" }, "01", "delivered"],
  [{ scanType: "01" }, "01", null],
  [{ l1Code: "MSC", scanType: "01", packageStatus: "Delivered" }, "MSC", null],
  [{}, "none", null],
])("%j is read by %s as %s", (scan, rawCode, status) => {
  expect(read(scanned(scan)).events[0]).toMatchObject({ rawCode, status });
});

describe("over HTTP", () => {
  const scenario = {
    steps: [
      { stage: "in_transit", at: "2026-01-12T03:15:00-05:00", city: "SPRINGFIELD" },
      { stage: "out_for_delivery", at: "2026-01-14T07:10:00-05:00", city: "BOSTON" },
    ],
    shown: 2,
    estimatedDelivery: "2026-01-14",
  } as const;

  test("a parcel is found together with its carrier, by wall clocks", async () => {
    const sandbox = await withSandbox({ scenarios: { [NUMBER]: scenario } });
    const client = clientOf(sandbox, "pitney_bowes");
    expect(await client.lookUp(NUMBER, { carrierCode: "usps" })).toMatchObject({
      kind: "found",
      tracking: {
        events: [
          {},
          { status: "out_for_delivery", occurredAt: null, localTime: "2026-01-14T07:10:00" },
        ],
        estimate: { from: "2026-01-14", precision: "date" },
      },
    });
  });

  test("its token service and FedEx's share a path and not their credentials", async () => {
    const sandbox = await withSandbox({ scenarios: { [NUMBER]: scenario } });
    for (const code of ["fedex", "pitney_bowes"])
      expect((await clientOf(sandbox, code).lookUp(NUMBER)).kind).toBe("found");
    expect(sandbox.log.map(({ api, kind }) => `${api} ${kind}`)).toEqual([
      "fedex token",
      "fedex lookup",
      "pitney_bowes token",
      "pitney_bowes lookup",
    ]);
  });

  test("wrong credentials are rejected by the names of their variables", async () => {
    const sandbox = await withSandbox();
    const credentials = {
      CLIENT_ID: new Secret("canary-1"),
      CLIENT_SECRET: new Secret("canary-2"),
    };
    const result = await clientOf(sandbox, "pitney_bowes", { credentials }).lookUp(NUMBER);
    expect(result).toMatchObject({
      error: {
        outcome: "rejected",
        message: expect.stringContaining("PITNEY_BOWES_CLIENT_ID and PITNEY_BOWES_CLIENT_SECRET"),
      },
    });
    expect(JSON.stringify(result)).not.toContain("canary");
  });
});

/** A folder with the carriers' official code lists, which we may not pass on. */
const folder = process.env.CARRIER_SAMPLES;

describe.skipIf(!folder)("official facts (CARRIER_SAMPLES is set)", () => {
  const facts = (): {
    standard_event_codes: Record<string, [string, string]>;
    status_map: Record<string, string>;
  } => JSON.parse(readFileSync(join(folder ?? "", "pitney-bowes/api-facts.json"), "utf8"));

  test("every standard code is mapped as listed, and no other is", () => {
    const codes = Object.entries(facts().standard_event_codes);
    expect({ ...pitney_bowes.stages }).toEqual(
      Object.fromEntries(codes.map(([code, [, stage]]) => [code, stage])),
    );
  });

  test("every status is read as listed", () => {
    for (const [status, stage] of Object.entries(facts().status_map))
      expect(read({ status, scanDetailsList: [] }).status).toBe(stage);
  });
});
