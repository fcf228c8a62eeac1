import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { easypost } from "../../src/carriers/easypost.ts";
import { foldStatus } from "../../src/carriers/foldStatus.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { testOverHttp } from "./testOverHttp.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

const NUMBER = "794612345678";

function answer(body: unknown, status = 200, trackingNumber = NUMBER) {
  return readAnswer(
    easypost,
    {
      status,
      headers: {},
      body: JSON.stringify(body),
      receivedAt: new Date("2025-09-01T12:00:00Z"),
    },
    { trackingNumber, carrierCode: "fedex" },
  );
}

test.each([
  ["usps", "USPS"],
  ["fedex", "FedEx"],
  ["ups", "UPS"],
  ["dhl", "DHLExpress"],
  ["royal_mail", "RoyalMail"],
  ["canada_post", "CanadaPost"],
  ["australia_post", "AustraliaPost"],
  ["la_poste", "LaPoste"],
  ["postnl", "PostNL"],
])("a parcel of %s is asked for as one of %s", (carrierCode, carrier) => {
  const { method, path, body } = easypost.request([{ trackingNumber: NUMBER, carrierCode }]);
  expect([method, path]).toEqual(["POST", "/trackers"]);
  expect(JSON.parse(body ?? "")).toEqual({ tracker: { tracking_code: NUMBER, carrier } });
});

test.each(["other", "easypost", "constructor"])(
  "a carrier that EasyPost has no name for (%s) is refused before any call",
  async (carrierCode) => {
    const sandbox = await withSandbox();
    const result = await clientOf(sandbox, "easypost").lookUp(NUMBER, { carrierCode });
    expect(result).toMatchObject({
      kind: "failed",
      error: { outcome: "rejected", code: "CARRIER_NOT_SUPPORTED" },
      calls: [],
    });
    expect(sandbox.log).toEqual([]);
  },
);

test("no wall clock and no day is made of an instant that ends in Z", () => {
  const detail = { status: "delivered", datetime: "2025-03-05T01:20:00Z" };
  const { events } = answer({ status: "delivered", tracking_details: [detail] });
  expect(events).toMatchObject([{ occurredAt: "2025-03-05T01:20:00Z", localTime: null }]);
});

test("what EasyPost knows nothing of is not found, and found as soon as there is one scan", () => {
  expect(() => answer({ status: "unknown", tracking_details: [] })).toThrow(
    expect.objectContaining({ outcome: "not_found" }),
  );
  const detail = { status: "unknown", datetime: "2025-03-05T01:20:00Z" };
  const tracking = answer({ status: "unknown", tracking_details: [detail] });
  expect(foldStatus(tracking).status).toBe("unknown");
});

testOverHttp({
  code: "easypost",
  number: NUMBER,
  carrierCode: "fedex",
  otherwise: { no_change: "unknown", unlisted: "unknown" },
});

const folder = process.env.CARRIER_SAMPLES;

interface Recorded {
  readonly request: { readonly url: string; readonly body: { tracker?: object } | null };
  readonly response: { readonly status: number; readonly body: unknown };
}

describe.skipIf(!folder)("official samples (CARRIER_SAMPLES is set)", () => {
  const readSample = <T>(path: string): T =>
    JSON.parse(readFileSync(join(folder ?? "", "easypost", path), "utf8"));

  test("every status is mapped as listed, and no other is", () => {
    const { status } = readSample<{ status: object }>("status-codes.json");
    expect({ ...easypost.stages }).toEqual(status);
  });

  test("the reply to a new tracker is a parcel before transit with two scans", () => {
    const [exchange] = readSample<Recorded[]>("samples/create-tracker-pre-transit.json");
    const tracking = answer(exchange?.response.body, exchange?.response.status, "EZ1000000001");
    expect(foldStatus(tracking).status).toBe("pre_transit");
    expect(tracking.events.map(({ occurredAt, location }) => [occurredAt, location])).toEqual([
      ["2024-06-30T16:06:32Z", null],
      ["2024-07-01T04:43:32Z", "HOUSTON, TX"],
    ]);
    expect(tracking.warnings).toEqual([]);
    expect(tracking.trackingUrl).toMatch(/^https:\/\/track\.easypost\.com\//);
  });

  test("a tracker of FedEx has its scans in order, and the day at the door", () => {
    const { result } = readSample<{ result: unknown }>("samples/webhook-event-body.json");
    const tracking = answer(result, 200, "1");
    expect(foldStatus(tracking).status).toBe("in_transit");
    expect(tracking.estimate).toEqual({
      from: "2024-08-05",
      until: "2024-08-05",
      timeZone: null,
      precision: "date",
    });
    const times = tracking.events.map(({ occurredAt }) => occurredAt);
    expect(times).toHaveLength(7);
    expect(times).toEqual(times.toSorted());
  });

  test.each([
    ["error-404.json", "not_found", "PAYLOAD.NOT_FOUND"],
    ["error-422.json", "rejected", "PARAMETER.REQUIRED"],
  ])("%s is %s", (path, outcome, code) => {
    const [exchange] = readSample<Recorded[]>(`samples/${path}`);
    expect(() => answer(exchange?.response.body, exchange?.response.status)).toThrow(
      expect.objectContaining({ outcome, code }),
    );
  });
});
