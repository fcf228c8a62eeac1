import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { la_poste } from "../../src/carriers/la_poste.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { testOverHttp } from "./testOverHttp.ts";

const NUMBER = "6A12345678901";

function answer(status: number, body: unknown) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return readAnswer(
    la_poste,
    { status, headers: {}, body: text, receivedAt: new Date("2025-09-01T12:00:00Z") },
    { trackingNumber: NUMBER, carrierCode: "la_poste" },
  );
}

const shipment = (more: object) => ({ returnCode: 200, shipment: { idShip: NUMBER, ...more } });
const scan = (order: number, code: string, day: number) => ({
  order,
  code,
  date: `2025-03-0${day}T10:00:00+01:00`,
});

test("the order numbers decide, however the list is turned and whatever the clocks say", () => {
  const codesOf = (event: object[]) =>
    answer(200, shipment({ event })).events.map(({ rawCode }) => rawCode);
  const [first, second, third] = [scan(1, "DR1", 3), scan(2, "PC1", 5), scan(10, "ET1", 4)];
  expect(codesOf([first, second, third])).toEqual(["DR1", "PC1", "ET1"]);
  expect(codesOf([third, first, second])).toEqual(["DR1", "PC1", "ET1"]);
});

test("without events there is no status to invent, final or not", () => {
  expect(answer(200, shipment({ event: [], isFinal: true }))).toMatchObject({
    status: null,
    events: [],
    warnings: ['La Poste calls the history final at "nothing"'],
  });
});

test("another parcel's answer is taken with a warning only", () => {
  const { warnings } = answer(200, { returnCode: 200, shipment: { idShip: "6A00000000000" } });
  expect(warnings).toEqual(["the only shipment in the answer has another number"]);
});

test("a list, as a request for several numbers would give, is not read as one parcel", () => {
  expect(() => answer(207, [shipment({ event: [scan(1, "DI1", 3)] })])).toThrow(
    expect.objectContaining({ outcome: "malformed" }),
  );
});

testOverHttp({
  code: "la_poste",
  number: NUMBER,
  otherwise: { cancelled: "unknown", no_change: "unknown", unlisted: "unknown" },
});

const folder = process.env.CARRIER_SAMPLES;

describe.skipIf(!folder)("listed codes and sample answers (CARRIER_SAMPLES is set)", () => {
  const readSample = (path: string) =>
    JSON.parse(readFileSync(join(folder ?? "", "la-poste", path), "utf8"));

  test("every code is mapped as listed, and no other is", () => {
    const { event_codes } = readSample("status-codes.json") as {
      event_codes: Record<string, [string, string]>;
    };
    const listed = Object.entries(event_codes).map(([code, [, stage]]) => [code, stage]);
    expect({ ...la_poste.stages }).toEqual(Object.fromEntries(listed));
    expect(listed).toHaveLength(23);
  });

  test.each([
    ["bad-request-400.json", "not_found", "400"],
    ["auth-error-401.json", "rejected", "401"],
    ["not-found-404.json", "not_found", "404"],
    ["rate-limited-429.json", "rate_limited", "TOO_MANY_REQUESTS"],
    ["server-error-500.json", "unavailable", "500"],
    ["unavailable-503.json", "unavailable", "SERVICE_UNAVAILABLE"],
    ["timeout-504.json", "unavailable", "504"],
  ])("%s is %s", (path, outcome, code) => {
    const { status, body } = readSample(`samples/${path}`);
    expect(() => answer(status, body)).toThrow(expect.objectContaining({ outcome, code }));
  });
});
