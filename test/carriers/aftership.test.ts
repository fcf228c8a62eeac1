import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { aftership } from "../../src/carriers/aftership.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { testOverHttp } from "./testOverHttp.ts";
import { clientOf, withSandbox } from "./withSandbox.ts";

const NUMBER = "AB407182635GB";
const SUBJECT = { trackingNumber: NUMBER, carrierCode: "royal_mail" };
const ASK = { carrierCode: "royal_mail" };

const kinds = (result: { calls: readonly { kind: string }[] }) =>
  result.calls.map(({ kind }) => kind);

test.each([
  ["ups", "ups"],
  ["usps", "usps"],
  ["fedex", "fedex"],
  ["dhl", "dhl"],
  ["royal_mail", "royal-mail"],
  ["parcelforce", "parcel-force"],
  ["canada_post", "canada-post"],
  ["australia_post", "australia-post"],
  ["la_poste", "la-poste-colissimo"],
  ["postnl", "postnl"],
])("a parcel of %s is asked for and registered under the slug %s", (carrierCode, slug) => {
  const subject = { trackingNumber: NUMBER, carrierCode };
  expect(aftership.request([subject])).toEqual({
    method: "GET",
    path: `/trackings?tracking_numbers=${NUMBER}&slug=${slug}`,
  });
  const { method, path, body } = aftership.register?.(subject) ?? {};
  expect([method, path]).toEqual(["POST", "/trackings"]);
  expect(JSON.parse(body ?? "")).toEqual({ tracking_number: NUMBER, slug });
});

test.each(["other", "aftership", "constructor"])(
  "a carrier that AfterShip has no slug for (%s) is refused before any call",
  async (carrierCode) => {
    const sandbox = await withSandbox();
    const result = await clientOf(sandbox, "aftership").lookUp(NUMBER, { carrierCode });
    expect(result).toMatchObject({
      kind: "failed",
      error: { outcome: "rejected", code: "CARRIER_NOT_SUPPORTED" },
      calls: [],
    });
    expect(sandbox.log).toEqual([]);
  },
);

test("a subtag is no tag: one in the words of a delivery delivers nothing", () => {
  const checkpoint = { checkpoint_time: "2025-03-04", tag: "InTransit", subtag: "Delivered" };
  const tracking = { tracking_number: NUMBER, tag: "InTransit", checkpoints: [checkpoint] };
  const body = JSON.stringify({ meta: { code: 200 }, data: { trackings: [tracking] } });
  const response = { status: 200, headers: {}, body, receivedAt: new Date() };
  expect(readAnswer(aftership, response, SUBJECT).events).toMatchObject([
    { status: "in_transit", rawCode: "InTransit" },
  ]);
});

describe("registering", () => {
  test("a parcel AfterShip has not been told of is registered once, and found when it has news", async () => {
    const sandbox = await withSandbox();
    const client = clientOf(sandbox, "aftership");
    const first = await client.lookUp(NUMBER, ASK);
    expect(first).toMatchObject({ error: { outcome: "not_found", code: "REGISTERED" } });
    expect(kinds(first)).toEqual(["lookup", "register"]);
    const second = await client.lookUp(NUMBER, ASK);
    expect(second).toMatchObject({ error: { outcome: "not_found", code: "NO_CHECKPOINT" } });
    expect(kinds(second)).toEqual(["lookup"]);
    sandbox.script(NUMBER, { steps: [{ stage: "in_transit", at: "2025-03-04T02:05:09" }] });
    expect(await client.lookUp(NUMBER, ASK)).toMatchObject({
      kind: "found",
      tracking: { status: "in_transit" },
    });
  });

  test("a registration that somebody else was quicker with is as good as done", async () => {
    const sandbox = await withSandbox();
    const clients = [clientOf(sandbox, "aftership"), clientOf(sandbox, "aftership")];
    const results = await Promise.all(clients.map((client) => client.lookUp(NUMBER, ASK)));
    for (const result of results) expect(result).toMatchObject({ error: { outcome: "not_found" } });
    expect(sandbox.log.filter(({ kind }) => kind === "register").length).toBeGreaterThan(0);
  });

  test.each([
    [{ mode: "status", status: 401 }, "rejected"],
    [{ mode: "status", status: 429 }, "rate_limited"],
    [{ mode: "status", status: 500 }, "unavailable"],
    [{ mode: "error_inside_200" }, "malformed"],
  ] as const)("%j to it makes the lookup %s", async (fault, outcome) => {
    const sandbox = await withSandbox();
    sandbox.fault({ ...fault, kind: "register" });
    const result = await clientOf(sandbox, "aftership").lookUp(NUMBER, ASK);
    expect(result).toMatchObject({ kind: "failed", error: { outcome } });
  });
});

testOverHttp({
  code: "aftership",
  number: NUMBER,
  carrierCode: "royal_mail",
  otherwise: { cancelled: "exception", no_change: "unknown", unlisted: "unknown" },
});

const folder = process.env.CARRIER_SAMPLES;

describe.skipIf(!folder)("official samples (CARRIER_SAMPLES is set)", () => {
  test("every tag is mapped as listed, and no other code is but the two subtags of a return", () => {
    const file = join(folder ?? "", "aftership/status-codes.json");
    const { tag } = JSON.parse(readFileSync(file, "utf8"));
    expect({ ...aftership.stages }).toEqual({
      ...tag,
      Exception_010: "return_to_sender",
      Exception_011: "return_to_sender",
    });
  });
});
