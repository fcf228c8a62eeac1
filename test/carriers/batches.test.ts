import { expect, test } from "vitest";
import type { Scenario } from "../../src/sandbox/scenario.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

const AT = "2026-03-04T02:05:09+01:00";
const MOVING: Scenario = { steps: [{ stage: "in_transit", at: AT }] };
const NUMBERS = ["999900000011", "999900000022", "999900000033"] as const;

test("several numbers are one request, each with its own end, and the call is told once", async () => {
  const [first, unknown, last] = NUMBERS;
  const sandbox = await withSandbox({ scenarios: { [first]: MOVING, [last]: MOVING } });
  const client = clientOf(sandbox, "fedex");
  const results = await client.lookUpMany(
    [first, unknown, last].map((trackingNumber) => ({ trackingNumber, carrierCode: "fedex" })),
  );
  expect(results.map((r) => (r.kind === "found" ? r.kind : r.error.outcome))).toEqual([
    "found",
    "not_found",
    "found",
  ]);
  const lookups = sandbox.log.filter(({ kind }) => kind === "lookup");
  expect(lookups.map(({ numbers }) => numbers)).toEqual([[first, unknown, last]]);
  expect(results.map(({ calls }) => calls.map(({ kind }) => kind))).toEqual([
    ["token", "lookup"],
    [],
    [],
  ]);
});

test("a parcel of a carrier that the aggregator does not know costs its neighbours nothing, and no request goes out for it", async () => {
  const [first, stranger, last] = NUMBERS;
  const sandbox = await withSandbox({ scenarios: { [first]: MOVING, [last]: MOVING } });
  const results = await clientOf(sandbox, "seventeen_track").lookUpMany([
    { trackingNumber: first, carrierCode: "fedex" },
    { trackingNumber: stranger, carrierCode: "pigeon" },
    { trackingNumber: last, carrierCode: "fedex" },
  ]);
  expect(results.map((r) => (r.kind === "found" ? r.kind : r.error.code))).toEqual([
    "found",
    "CARRIER_NOT_SUPPORTED",
    "found",
  ]);
  const asked = sandbox.log.filter(({ kind }) => kind === "lookup").flatMap((e) => e.numbers ?? []);
  expect(asked).toEqual([first, last]);
});

test("a refusal of the whole request is the end of each of them", async () => {
  const sandbox = await withSandbox();
  sandbox.fault({ mode: "status", status: 503, api: "fedex", kind: "lookup" });
  const results = await clientOf(sandbox, "fedex").lookUpMany(
    NUMBERS.map((trackingNumber) => ({ trackingNumber, carrierCode: "fedex" })),
  );
  expect(results.map((r) => r.kind === "failed" && r.error.outcome)).toEqual([
    "unavailable",
    "unavailable",
    "unavailable",
  ]);
});
