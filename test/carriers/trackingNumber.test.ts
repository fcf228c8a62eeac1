import { expect, test } from "vitest";
import { checkTrackingNumber, normalizeTrackingNumber } from "../../src/carriers/trackingNumber.ts";

test.each([
  ["1z 999-aa1 01 2345 6784", "1Z999AA10123456784"],
  ["\tgm-dbd8\u00a0e9\n", "GMDBD8E9"],
  ["", ""],
])("%j is stored as %j", (text, number) => {
  expect(normalizeTrackingNumber(text)).toBe(number);
});

test.each([
  "1Z5R89390357567127",
  "1Z879E930346834440",
  "1Z410E7W0392751591",
  "1Z8V92A70367203024",
  "1ZXX3150YW44070023",
  "1ZCIETST0111111114",
  "1R12345678912345",
  "K1506235620",
  "92419900000033499522966220",
])("%s passes as a UPS number", (number) => {
  expect(checkTrackingNumber("ups", number)).toEqual({ ok: true, warning: null });
});

test.each(["1Z5R89390357567128", "1Z1111111111111111", "1Z12345E0205271688"])(
  "%s passes with a warning: its check digit is wrong, but UPS's own test numbers are like that",
  (number) => {
    expect(checkTrackingNumber("ups", number)).toEqual({
      ok: true,
      warning: expect.stringContaining("typing error"),
    });
  },
);

test.each(["1Z5R8939035756712", "1Z5R893903575671277", "1Z5R8939035756712X"])(
  "%s is refused as a UPS number",
  (number) => {
    expect(checkTrackingNumber("ups", number)).toEqual({
      ok: false,
      rule: expect.stringContaining("18 letters and digits"),
    });
  },
);

test.each(["", "ABC", "1Z/..", "A".repeat(41), "12345\n", "１２３４５", "constructor "])(
  "%j is refused for every carrier",
  (number) => {
    for (const code of ["ups", "dhl", "constructor"])
      expect(checkTrackingNumber(code, number)).toMatchObject({ ok: false });
  },
);

test("a rule of one carrier is no rule of another", () => {
  expect(checkTrackingNumber("dhl", "1Z5R8939035756712")).toEqual({ ok: true, warning: null });
});
