import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { CarrierAdapter } from "../../src/carriers/carrier.ts";
import { dhl } from "../../src/carriers/dhl.ts";
import { foldStatus } from "../../src/carriers/foldStatus.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { ups } from "../../src/carriers/ups.ts";

/** A folder with the carriers' official code lists and sample answers, which we may not pass on. */
const folder = process.env.CARRIER_SAMPLES;

function readSample<T>(path: string): T {
  return JSON.parse(readFileSync(join(folder ?? "", path), "utf8"));
}

function answer(adapter: CarrierAdapter, status: number, body: unknown, number: string) {
  const text = JSON.stringify(body);
  return readAnswer(
    adapter,
    { status, headers: {}, body: text, receivedAt: new Date("2025-09-01T12:00:00Z") },
    { trackingNumber: number, carrierCode: adapter.code },
  );
}

describe.skipIf(!folder)("official samples (CARRIER_SAMPLES is set)", () => {
  test("every UPS status code is mapped as listed, and no other is", () => {
    const { status_codes } = readSample<{
      status_codes: { code: string; normalised: string }[];
    }>("ups/status-codes.json");
    expect(status_codes.length).toBe(160);
    expect({ ...ups.stages }).toEqual(
      Object.fromEntries(status_codes.map(({ code, normalised }) => [code, normalised])),
    );
  });

  test("every UPS activity type is read as listed where the status code is missing", () => {
    const { activity_types } = readSample<{ activity_types: Record<string, string> }>(
      "ups/status-codes.json",
    );
    const stageOf = (type: string) => {
      const activity = { date: "20250826", time: "084434", status: { type } };
      const parcel = { activity: [activity], deliveryDate: [{ type: "DEL", date: "20250826" }] };
      const body = { trackResponse: { shipment: [{ package: [parcel] }] } };
      const [event] = answer(ups, 200, body, "1Z999AA10123456784").events;
      return event?.status ?? "no_change";
    };
    const types = Object.keys(activity_types);
    expect(Object.fromEntries(types.map((type) => [type, stageOf(type)]))).toEqual(activity_types);
  });

  test("every DHL code is mapped as listed, and no other is", () => {
    const { map } = readSample<{ map: Record<string, string> }>("dhl/status-codes.json");
    expect({ ...dhl.stages }).toEqual(map);
  });

  test("DHL's own example is a parcel in transit with six scans", () => {
    const { body } = readSample<{ body: unknown }>("dhl/samples/in-transit.json");
    const tracking = answer(dhl, 200, body, "GMDBD8E9CCE94842E495B7");
    expect(foldStatus(tracking).status).toBe("in_transit");
    expect(tracking.events.map(({ localTime, status }) => [localTime, status])).toEqual([
      ["2023-01-11T11:58:34", null],
      ["2023-01-18T09:39:28", "in_transit"],
      ["2023-01-20T10:21:25", "pre_transit"],
      ["2023-01-23T08:52:14", "in_transit"],
      ["2023-01-23T08:52:15", null],
      ["2023-01-29T16:02:00", "in_transit"],
    ]);
    expect(tracking.warnings).toEqual([]);
  });

  test.each([
    ["ups/samples/not-found-200-warning.json", "not_found", "TW0001"],
    ["ups/samples/auth-error-401.json", "rejected", "250002"],
    ["ups/samples/rate-limited-429.json", "rate_limited", "10429"],
    ["ups/samples/server-error-500.json", "unavailable", "10004"],
  ])("%s is %s", (path, outcome, code) => {
    const { status, body } = readSample<{ status: number; body: unknown }>(path);
    expect(() => answer(ups, status, body, "1Z5629230309413682")).toThrow(
      expect.objectContaining({ outcome, code }),
    );
  });

  test("a UPS scan with GMT fields is placed on the UTC line, and its local time is kept", () => {
    const { activity } = readSample<{ activity: object }>("ups/samples/activity-time-fields.json");
    const parcel = { activity: [{ ...activity, status: { statusCode: "011" } }] };
    const body = { trackResponse: { shipment: [{ package: [parcel] }] } };
    expect(answer(ups, 200, body, "1Z999AA10123456784").events[0]).toMatchObject({
      occurredAt: "2025-08-26T15:44:34Z",
      localTime: "2025-08-26T08:44:34",
      timeZone: "-07:00",
    });
  });
});
