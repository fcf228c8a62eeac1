import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fedex } from "../../src/carriers/fedex.ts";
import { foldStatus } from "../../src/carriers/foldStatus.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { Secret } from "../../src/secret.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

const NUMBER = "774890123450";
const OTHER = "986578788855";

function read(body: unknown, status = 200, trackingNumber = NUMBER) {
  return readAnswer(
    fedex,
    {
      status,
      headers: {},
      body: JSON.stringify(body),
      receivedAt: new Date("2026-02-11T23:59:59Z"),
    },
    { trackingNumber, carrierCode: "fedex" },
  );
}

const answer = (...trackResults: object[]) => ({
  output: { completeTrackResults: [{ trackingNumber: NUMBER, trackResults }] },
});

const scan = (derivedStatusCode: string | undefined, eventType: string | undefined) => ({
  date: "2026-02-11T07:05:00-05:00",
  derivedStatusCode,
  eventType,
});

test.each([
  ["DL", "DL", "DL", "delivered"],
  // A leg of the way: the scan's own type says more.
  ["IN", "OC", "OC", "pre_transit"],
  ["IT", "OD", "OD", "out_for_delivery"],
  ["IT", "HP", "HP", "available_for_pickup"],
  ["IT", "RR", "RR", null],
  // It says no more, or its letters may mean something else there.
  ["IT", "AR", "IT", "in_transit"],
  ["IT", "HA", "IT", "in_transit"],
  ["IT", "CA", "IT", "in_transit"],
  ["IT", "DL", "IT", "in_transit"],
  ["RS", "DL", "RS", "return_to_sender"],
  [undefined, "PU", "PU", "in_transit"],
  ["", "PU", "PU", "in_transit"],
  ["ZZ", "PU", "ZZ", null],
  ["IN", "ZZ", "ZZ", null],
  [undefined, undefined, "none", null],
])("derived %s with type %s is %s, %s", (derived, type, rawCode, status) => {
  const [event] = read(answer({ scanEvents: [scan(derived, type)] })).events;
  expect(event).toMatchObject({ rawCode, status });
});

test("a return's details make a return, empty ones do not", () => {
  const delivered = { scanEvents: [scan("DL", "DL")] };
  const status = (returnDetail: object) =>
    foldStatus(read(answer({ ...delivered, returnDetail }))).status;
  expect(status({ reasonDetail: [{ type: "REJECTED", description: "" }] })).toBe(
    "return_to_sender",
  );
  expect(status({ authorizationName: "", reasonDetail: [{ type: "" }] })).toBe("delivered");
});

test("no action is asked for where FedEx says that none is", () => {
  const asked = (action: string) =>
    read(
      answer({
        latestStatusDetail: { ancillaryDetails: [{ action }] },
        scanEvents: [scan("DE", "DE")],
      }),
    ).events[0]?.isActionRequired;
  expect(asked("Please call us.")).toBe(true);
  expect(asked("No action is required.")).toBe(false);
  expect(asked("")).toBe(false);
});

test("a number that is not in the answer gets nobody else's parcel", () => {
  const body = answer({ scanEvents: [scan("DL", "DL")] });
  expect(() => read(body, 200, OTHER)).toThrow(
    expect.objectContaining({ outcome: "malformed", code: "NOT_ANSWERED" }),
  );
});

test.each([
  ["TRACKING.ANYTHING.NOTFOUND", "not_found"],
  ["TRACKING.TRACKINGNUMBER.INVALID", "not_found"],
  ["SERVICE.UNAVAILABLE.ERROR", "unavailable"],
  ["TRACKING.SOMETHING.ELSE", "malformed"],
])("the error %s in the place of a parcel is %s", (code, outcome) => {
  expect(() => read(answer({ error: { code } }))).toThrow(
    expect.objectContaining({ outcome, code }),
  );
});

test("of a used number whose other result is an error, the parcel is read", () => {
  const error = { error: { code: "TRACKING.TRACKINGNUMBER.NOTFOUND" } };
  expect(read(answer(error, { scanEvents: [scan("DL", "DL")] })).warnings).toEqual([]);
});

test("the day's allowance starts anew at the next midnight GMT, another throttle when FedEx says", () => {
  const throttled = (message: string) => ({ errors: [{ code: "TOO.MANY", message }] });
  expect(() => read(throttled("Retry after 00:00 GMT."), 429)).toThrow(
    expect.objectContaining({
      outcome: "out_of_quota",
      retryAt: null,
    }),
  );
  expect(() => read(throttled("Slow down."), 429)).toThrow(
    expect.objectContaining({ outcome: "rate_limited", retryAt: null }),
  );
});

describe("over HTTP", () => {
  const steps = [
    { stage: "in_transit", at: "2026-02-10T03:00:00-06:00", city: "MEMPHIS", country: "US" },
    { stage: "out_for_delivery", at: "2026-02-11T07:05:00-05:00", city: "ALBANY", country: "US" },
  ] as const;

  test("thirty numbers are one request, and each gets its own end", async () => {
    const sandbox = await withSandbox({ scenarios: { [NUMBER]: { steps, shown: 2 } } });
    const client = clientOf(sandbox, "fedex");
    const others = Array.from({ length: 29 }, (_, i) => String(100_000_000_000 + i));
    const subjects = [...others, NUMBER].map((trackingNumber) => ({
      trackingNumber,
      carrierCode: "fedex",
    }));
    const results = await client.lookUpMany(subjects);
    expect(client.batchSize).toBe(30);
    expect(results.map(({ kind }) => kind)).toEqual([...others.map(() => "failed"), "found"]);
    expect(results[0]).toMatchObject({ error: { outcome: "not_found" } });
    expect(results[29]).toMatchObject({
      tracking: { status: "out_for_delivery", events: [{ rawCode: "IT" }, { rawCode: "OD" }] },
    });
    expect(sandbox.log.map(({ kind, numbers }) => [kind, numbers?.length])).toEqual([
      ["token", undefined],
      ["lookup", 30],
    ]);
  });

  test("a token service that answers 403 asks for ten minutes, and nobody is rejected", async () => {
    const sandbox = await withSandbox();
    sandbox.fault({ mode: "status", status: 403, kind: "token" });
    const now = () => new Date("2026-02-11T12:00:00Z");
    expect(await clientOf(sandbox, "fedex", { now }).lookUp(NUMBER)).toMatchObject({
      error: { outcome: "rate_limited", retryAt: new Date("2026-02-11T12:10:00Z") },
    });
  });

  test("wrong credentials are rejected by the names of their variables", async () => {
    const sandbox = await withSandbox();
    const credentials = {
      CLIENT_ID: new Secret("canary-1"),
      CLIENT_SECRET: new Secret("canary-2"),
    };
    const result = await clientOf(sandbox, "fedex", { credentials }).lookUp(NUMBER);
    expect(result).toMatchObject({
      error: {
        outcome: "rejected",
        code: "NOT.AUTHORIZED.ERROR",
        message: expect.stringContaining("FEDEX_CLIENT_ID and FEDEX_CLIENT_SECRET"),
      },
    });
    expect(JSON.stringify(result)).not.toContain("canary");
  });
});

/** A folder with the carriers' official code lists and sample answers, which we may not pass on. */
const folder = process.env.CARRIER_SAMPLES;

function readSample<T>(path: string): T {
  return JSON.parse(readFileSync(join(folder ?? "", "fedex", path), "utf8"));
}

describe.skipIf(!folder)("official samples (CARRIER_SAMPLES is set)", () => {
  test("every FedEx code is mapped as listed, and no other is", () => {
    const { codes } = readSample<{ codes: Record<string, [string, string]> }>("status-codes.json");
    expect({ ...fedex.stages }).toEqual(
      Object.fromEntries(Object.entries(codes).map(([code, [, stage]]) => [code, stage])),
    );
  });

  test("a number unknown to FedEx is not found although the answer is a success", () => {
    const { status, body } = readSample<{ status: number; body: unknown }>(
      "samples/not-found-inside-200.json",
    );
    expect(() => read(body, status, "02399989320920003663")).toThrow(
      expect.objectContaining({ outcome: "not_found", code: "TRACKING.TRACKINGNUMBER.NOTFOUND" }),
    );
  });

  test.each([
    ["400", "rejected", "TRACKING.TRACKINGNUMBER.EMPTY"],
    ["401", "rejected", "NOT.AUTHORIZED.ERROR"],
    ["403", "rejected", "FORBIDDEN.ERROR"],
    ["404", "not_found", "NOT.FOUND.ERROR"],
    ["500", "unavailable", "INTERNAL.SERVER.ERROR"],
    ["503", "unavailable", "SERVICE.UNAVAILABLE.ERROR"],
  ])("the example of a %s is %s", (status, outcome, code) => {
    const bodies = readSample<Record<string, unknown>>("samples/errors-from-spec.json");
    expect(() => read(bodies[status], Number(status))).toThrow(
      expect.objectContaining({ outcome, code }),
    );
  });
});
