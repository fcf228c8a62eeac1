import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { foldStatus } from "../../src/carriers/foldStatus.ts";
import { postnl } from "../../src/carriers/postnl.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { testOverHttp } from "./testOverHttp.ts";

const NUMBER = "3SBOOK1234567";

function answer(body: unknown, trackingNumber = NUMBER, status = 200) {
  return readAnswer(
    postnl,
    {
      status,
      headers: {},
      body: JSON.stringify(body),
      receivedAt: new Date("2025-09-01T12:00:00Z"),
    },
    { trackingNumber, carrierCode: "postnl" },
  );
}

const scan = (StatusCode: string, TimeStamp: string) => ({ StatusCode, TimeStamp });
const complete = (Shipment: unknown) => ({ CompleteStatus: { Shipment } });

test("every field may be empty, written as {} or as the text {}", () => {
  for (const nothing of [{}, "{}", null, undefined]) {
    const tracking = answer(
      complete({
        Barcode: NUMBER,
        DeliveryDate: nothing,
        Expectation: nothing,
        Event: nothing,
        Status: { StatusCode: "2", TimeStamp: "04-03-2025 02:05:09", StatusDescription: nothing },
        OldStatus: nothing,
      }),
    );
    expect(tracking).toMatchObject({
      status: "in_transit",
      rawText: null,
      estimate: null,
      warnings: [],
    });
    expect(tracking.events).toHaveLength(1);
  }
});

test("of several parcels under one main barcode the one that was asked for is read", () => {
  const parcel = (Barcode: string, StatusCode: string) => ({
    MainBarcode: NUMBER,
    Barcode,
    Status: scan(StatusCode, "04-03-2025 02:05:09"),
  });
  const parcels = complete([parcel("3SBOOK7654321", "11"), parcel(NUMBER, "2")]);
  expect(answer(parcels)).toMatchObject({ status: "in_transit", warnings: [] });
  expect(() => answer(parcels, "3SBOOK0000000")).toThrow(
    expect.objectContaining({ outcome: "not_found", code: "AMBIGUOUS" }),
  );
});

test("phase 4 is never read as delivered", () => {
  const Status = { ...scan("12", "04-03-2025 02:05:09"), PhaseCode: "4" };
  const tracking = answer(complete({ Barcode: NUMBER, Status, OldStatus: [Status] }));
  expect(foldStatus(tracking).status).toBe("available_for_pickup");
});

test("day and month are never swapped", () => {
  const [event] = answer(
    complete({ Barcode: NUMBER, Status: scan("2", "08-11-2022 10:13:20") }),
  ).events;
  expect(event).toMatchObject({
    occurredAt: "2022-11-08T09:13:20Z",
    localTime: "2022-11-08T10:13:20",
    rawTime: "08-11-2022 10:13:20",
  });
});

test("an answer with nothing in it that is documented is malformed, not an unknown number", () => {
  expect(() => answer({})).toThrow(
    expect.objectContaining({ outcome: "malformed", code: "NO_STATUS" }),
  );
});

testOverHttp({
  code: "postnl",
  number: NUMBER,
  otherwise: { return_to_sender: "exception", no_change: "unknown", unlisted: "unknown" },
});

const folder = process.env.CARRIER_SAMPLES;

describe.skipIf(!folder)("official samples (CARRIER_SAMPLES is set)", () => {
  const readSample = (path: string) =>
    JSON.parse(readFileSync(join(folder ?? "", "postnl", path), "utf8"));

  test("every code is mapped as listed, and no other is", () => {
    const { codes } = readSample("status-codes.json") as {
      codes: Record<string, [string, string]>;
    };
    const listed = Object.entries(codes).map(([code, [, stage]]) => [code, stage]);
    expect({ ...postnl.stages }).toEqual(Object.fromEntries(listed));
    expect(listed).toHaveLength(23);
  });

  test("PostNL's own example is out for delivery, and nobody's name is read", () => {
    const { body } = readSample("samples/out-for-delivery-200.json");
    const tracking = answer(body, "3SDEVC288882229");
    expect(foldStatus(tracking).status).toBe("out_for_delivery");
    expect(tracking).toMatchObject({
      events: [{ occurredAt: "2022-11-08T09:13:20Z", rawCode: "7" }],
      estimate: { from: "2022-11-08", until: "2022-11-08", precision: "date" },
      warnings: [],
    });
    expect(JSON.stringify(tracking)).not.toMatch(/Ruiter|3571ZZ/);
  });
});
