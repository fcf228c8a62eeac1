import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { foldStatus } from "../../src/carriers/foldStatus.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { shippo } from "../../src/carriers/shippo.ts";
import { testOverHttp } from "./testOverHttp.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

const NUMBER = "9205590177654839200174";

function answer(status: number, body: unknown, trackingNumber = NUMBER) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const receivedAt = new Date("2025-09-01T12:00:00Z");
  return readAnswer(
    shippo,
    { status, headers: {}, body: text, receivedAt },
    { trackingNumber, carrierCode: "usps" },
  );
}

test.each([
  ["ups", "ups"],
  ["usps", "usps"],
  ["fedex", "fedex"],
  ["dhl", "dhl_express"],
  ["royal_mail", "royal_mail"],
  ["parcelforce", "parcelforce"],
  ["canada_post", "canada_post"],
  ["australia_post", "australia_post"],
  ["la_poste", "la_poste"],
])("a parcel of %s is asked for under the token %s", (carrierCode, token) => {
  const { method, path } = shippo.request([{ trackingNumber: NUMBER, carrierCode }]);
  expect([method, path]).toEqual(["GET", `/tracks/${token}/${NUMBER}`]);
});

test.each(["postnl", "other", "constructor"])(
  "a carrier that Shippo has no token for (%s) is refused before any call",
  async (carrierCode) => {
    const sandbox = await withSandbox();
    const result = await clientOf(sandbox, "shippo").lookUp(NUMBER, { carrierCode });
    expect(result).toMatchObject({
      kind: "failed",
      error: { outcome: "rejected", code: "CARRIER_NOT_SUPPORTED" },
      calls: [],
    });
    expect(sandbox.log).toEqual([]);
  },
);

test("a scan keeps its identity though Shippo numbers it anew in each answer", () => {
  const status = {
    status: "TRANSIT",
    status_date: "2025-03-04T02:05:09Z",
    status_details: "Left.",
  };
  const identities = ["one", "another"].map((object_id) => {
    const tracking_history = [{ ...status, object_id }];
    return answer(200, { tracking_number: NUMBER, tracking_history }).events[0]?.identity;
  });
  expect(identities[1]).toBe(identities[0]);
});

test("a substatus of the two listed names is read under TRANSIT alone", () => {
  const substatus = { code: "out_for_delivery", text: "", action_required: false };
  const stageUnder = (status: string) => {
    const scan = { status, status_date: "2025-03-04T02:05:09Z", substatus };
    return answer(200, { tracking_number: NUMBER, tracking_history: [scan] }).events[0]?.status;
  };
  expect(["TRANSIT", "FAILURE", "DELIVERED"].map(stageUnder)).toEqual([
    "out_for_delivery",
    "exception",
    "delivered",
  ]);
});

testOverHttp({
  code: "shippo",
  number: NUMBER,
  carrierCode: "usps",
  otherwise: { cancelled: "unknown", no_change: "unknown", unlisted: "unknown" },
});

const folder = process.env.CARRIER_SAMPLES;

interface Recorded {
  readonly response: { readonly status: number; readonly body: unknown };
}

function readSample<T>(file: string): T {
  return JSON.parse(readFileSync(join(folder ?? "", "shippo", file), "utf8"));
}

describe.skipIf(!folder)("official samples (CARRIER_SAMPLES is set)", () => {
  test("every status is mapped as listed, and no other is but two substatuses", () => {
    const listed = readSample<{
      status: Record<string, string>;
      substatus_to_finer: Record<string, string>;
    }>("status-codes.json");
    const { note, ...finer } = listed.substatus_to_finer;
    expect({ ...shippo.stages }).toEqual({ ...listed.status, ...finer });
  });

  test.each(["get_status", "create"])("%s is a delivered parcel with eleven scans", (name) => {
    const [recorded] = readSample<Recorded[]>(`samples/${name}.json`);
    const { status, body } = recorded?.response ?? { status: 0, body: null };
    const tracking = answer(status, body, "9205590164917337534322");
    expect(foldStatus(tracking)).toMatchObject({
      status: "delivered",
      deliveredEvent: { occurredAt: "2016-12-08T15:19:00Z", localTime: null },
    });
    expect(tracking.events).toHaveLength(11);
    const times = tracking.events.map(({ occurredAt }) => occurredAt);
    expect(times).toEqual(times.toSorted());
    expect(tracking.warnings).toEqual([]);
  });

  test("a carrier it does not know is rejected, and a number that cannot be one is not found", () => {
    const recorded = readSample<Recorded[]>("samples/invalid_get_status.json");
    const outcomes = recorded.map(({ response }) => {
      try {
        return answer(response.status, response.body);
      } catch (error) {
        return error;
      }
    });
    expect(outcomes).toMatchObject([{ outcome: "rejected" }, { outcome: "not_found" }]);
  });

  test("a tracker without a status is not found", () => {
    const [, recorded] = readSample<Recorded[]>("samples/invalid_create.json");
    const { status, body } = recorded?.response ?? { status: 0, body: null };
    expect(() => answer(status, body)).toThrow(expect.objectContaining({ code: "NO_STATUS" }));
  });
});
