import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AGGREGATORS } from "../../src/carriers/aggregators.ts";
import { CARRIER_NUMBER_RULES } from "../../src/carriers/carrierNumberRules.ts";
import { adapters } from "../../src/carriers/registry.ts";
import {
  carrierNumber,
  checkTrackingNumber,
  isOf,
  normalizeTrackingNumber,
  possibleCarriers,
} from "../../src/carriers/trackingNumber.ts";
import { TRACKING_NUMBER_FORMATS } from "../../src/carriers/trackingNumberFormats.ts";

test.each([
  ["1z 999-aa1 01 2345 6784", "1Z999AA10123456784"],
  ["\tgm-dbd8\u00a0e9\n", "GMDBD8E9"],
  ["", ""],
])("%j is stored as %j", (text, number) => {
  expect(normalizeTrackingNumber(text)).toBe(number);
});

describe.each(TRACKING_NUMBER_FORMATS)("the format $id", (format) => {
  test("has samples of both kinds, and they are what they are said to be", () => {
    const { valid, invalid } = format.samples;
    expect([valid.length, invalid.length]).not.toContain(0);
    expect(valid.filter((number) => !isOf(format, number))).toEqual([]);
    expect(invalid.filter((number) => isOf(format, number))).toEqual([]);
  });

  test("is taken without a word by each of its carriers", () => {
    const refused = format.carriers.flatMap((code) =>
      format.samples.valid
        .map((number) => [code, number, checkTrackingNumber(code, carrierNumber(code, number))])
        .filter(([, , check]) => JSON.stringify(check) !== '{"ok":true,"warning":null}'),
    );
    expect(refused).toEqual([]);
  });

  test("has a sample that only the check digit tells from a valid one, where there is a check digit", () => {
    const hasOne = format.samples.invalid.some((number) => format.pattern.test(number));
    expect(hasOne).toBe(format.checkDigit !== null);
  });

  test("belongs to carriers that have a rule, and excuses only these", () => {
    for (const code of format.carriers) expect(CARRIER_NUMBER_RULES.has(code)).toBe(true);
    for (const code of Object.keys(format.checkDigit?.excused ?? {}))
      expect(format.carriers).toContain(code);
  });
});

test("no two formats have one name", () => {
  const ids = TRACKING_NUMBER_FORMATS.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

test("every carrier that answers for itself has a rule, and no aggregator has one", () => {
  const withRule = adapters.filter(({ code }) => CARRIER_NUMBER_RULES.has(code));
  expect(withRule).toEqual(adapters.filter(({ code }) => !AGGREGATORS.has(code)));
});

test.each([
  ["ups", "1Z5R8939035756712", "18 letters and digits"],
  ["ups", "1Z5R8939035756712X", "18 letters and digits"],
  ["ups", "1R12345", "16 or 28"],
  ["ups", "K1506235622", "check digit of a UPS waybill"],
  ["ups", "123456", "7 to 34"],
  ["ups", "1".repeat(35), "7 to 34"],
  ["usps", "9400111206206406260780", "check digit of a USPS package code"],
  ["usps", "4201028200009261290113185417468511", "check digit of a USPS package code"],
  ["usps", "03071790000523483742", "check digit of a USPS number of 20 digits"],
  ["usps", "940011120620640626078", "22, 26 or 30 digits"],
  ["usps", "94001112062064062607AB", "22, 26 or 30 digits"],
  ["usps", "1Z5R89390357567127", "this is a UPS number"],
  ["usps", "RB123456786US", "check digit of an international postal number"],
  ["fedex", "ABCDEFGHIJKL", "12, 15, 20, 22 or 34 digits"],
  ["fedex", "1234567", "12, 15, 20, 22 or 34 digits"],
  ["fedex", "1Z5R89390357567127", "this is a UPS number"],
  ["canada_post", "0073938000549292", "check digit of a Canada Post number"],
  ["canada_post", "00739380005492", "16 digits, 15 on a notice card"],
  ["canada_post", "ABC3938000549297", "16 digits, 15 on a notice card"],
  ["royal_mail", "FQ087430673GB", "check digit of an international postal number"],
  ["la_poste", "6A18987970", "11 to 15"],
  ["la_poste", "EY604176345FR", "check digit of an international postal number"],
  ["dhl", "1Z5R89390357567127", "this is a UPS number"],
  ["dhl", "RB123456786DE", "check digit of an international postal number"],
])("%s refuses %s: %s", (carrierCode, number, rule) => {
  expect(checkTrackingNumber(carrierCode, number)).toEqual({
    ok: false,
    rule: expect.stringContaining(rule),
  });
});

test.each([
  // UPS's own test number.
  ["ups", "1Z12345E0205271688", "check digit"],
  ["ups", "1Z5R89390357567128", "check digit"],
  ["ups", "9400111206206406260780", "check digit"],
  // FedEx does not hold its sandbox to the check digits.
  ["fedex", "986578788856", "check digit"],
  ["fedex", "568283610012732", "check digit"],
  ["fedex", "98657878885", "12, 15, 20, 22 or 34 digits"],
  ["fedex", "DT986578788855", "12, 15, 20, 22 or 34 digits"],
  ["dhl", "3318810010", "check digit"],
  ["royal_mail", "090367574000000FE1E1", "21 digits and letters"],
  ["australia_post", "ABC1234", "8 to 23"],
  ["postnl", "3SDEVC12", "3SDEVC172649258"],
])("%s takes %s with a warning", (carrierCode, number, warning) => {
  const told = expect.stringMatching(RegExp(`${warning}.*; look for a typing error$`));
  expect(checkTrackingNumber(carrierCode, number)).toEqual({ ok: true, warning: told });
});

test.each([
  ["ups", "1ZCIETST0111111114"],
  ["ups", "92419900000033499522966220"],
  ["ups", "FREIGHT123"],
  ["fedex", "61292700726653585070"],
  ["dhl", "00340434161094042557"],
  ["dhl", "2042200157621303"],
  ["dhl", "1Z5R8939035756712"],
  ["australia_post", "33ABC1234567"],
])("%s takes %s without a word", (carrierCode, number) => {
  expect(checkTrackingNumber(carrierCode, number)).toEqual({ ok: true, warning: null });
});

test("any post takes a number of any origin", () => {
  for (const code of [
    ...["usps", "royal_mail", "canada_post", "la_poste", "australia_post", "postnl", "dhl"],
  ])
    for (const number of ["RB123456785GB", "RB123456785US", "RB123456785CV"])
      expect([code, checkTrackingNumber(code, number)]).toEqual([
        code,
        { ok: true, warning: null },
      ]);
});

test("aggregators, carriers without a rule and codes that are none take any 4 to 40 letters and digits", () => {
  for (const code of [...AGGREGATORS, "parcelforce", "other", "any", "constructor", "__proto__"])
    for (const number of ["1Z5R8939035756712", "ABCD", "9".repeat(40)])
      expect(checkTrackingNumber(code, number)).toEqual({ ok: true, warning: null });
});

test.each(["", "ABC", "1Z/..", `GM${"1".repeat(39)}`, "12345\n", "１２３４５", "constructor "])(
  "%j is refused for every carrier",
  (number) => {
    for (const code of [...CARRIER_NUMBER_RULES.keys(), "easypost", "any", "constructor"])
      expect(checkTrackingNumber(code, number)).toEqual({
        ok: false,
        rule: "a tracking number has 4 to 40 letters and digits",
      });
    expect(possibleCarriers(number)).toEqual([]);
  },
);

test.each([
  ["420787459400111206206406260787", "9400111206206406260787"],
  // 12 + 22: read as 8 + 26 it would not begin with 91 to 95.
  ["4201002334249200190132607600833457", "9200190132607600833457"],
  // 8 + 26: the other reading does not begin so.
  ["4201028200009261290113185417468510", "9261290113185417468510"],
  ["4205690192023901019232002167055441", "92023901019232002167055441"],
  // Both begin so; the check digit tells, once the one and once the other.
  ["4201234592029400111206206406260787", "9400111206206406260787"],
  ["4201234592029400111206206406260786", "92029400111206206406260786"],
  // It fits both: the shorter, which is the usual label.
  ["4201234592019400111206206406260787", "9400111206206406260787"],
  // 12 + 30, longer than any number that is stored.
  ["420123456789922222222222222222222222222221", "922222222222222222222222222221"],
  ["9400111206206406260787", "9400111206206406260787"],
  // Wrong whichever way: as it was typed.
  ["420787459400111206206406260788", "420787459400111206206406260788"],
  ["RB123456785US", "RB123456785US"],
  ["42012345", "42012345"],
])("USPS is asked about %s as %s", (scanned, number) => {
  expect(carrierNumber("usps", scanned)).toBe(number);
  expect(carrierNumber("usps", number)).toBe(number);
});

test("nobody else's numbers lose their beginning", () => {
  for (const code of ["ups", "fedex", "dhl", "other", "easypost"])
    expect(carrierNumber(code, "420787459400111206206406260787")).toBe(
      "420787459400111206206406260787",
    );
});

test.each([
  ["1Z5R89390357567127", ["ups"]],
  ["1Z12345E0205271688", ["ups"]],
  ["RB123456785GB", ["royal_mail", "usps", "canada_post", "la_poste"]],
  ["RB123456785CA", ["canada_post", "usps", "royal_mail"]],
  ["RB123456785DE", ["dhl", "usps", "royal_mail"]],
  ["RB123456785CV", ["usps", "royal_mail", "canada_post"]],
  ["9400111206206406260787", ["usps", "ups", "fedex", "dhl"]],
  // Only the 20 digits of FedEx have no check digit that we know.
  ["03071790000523483741", ["usps", "fedex"]],
  ["03071790000523483742", ["fedex"]],
  ["986578788855", ["fedex"]],
  // A check digit of ten kinds says more than none.
  ["041441760228964", ["fedex", "canada_post"]],
  ["568283610012732", ["canada_post", "fedex"]],
  ["0073938000549297", ["canada_post"]],
  ["0073938000549292", []],
  ["3318810025", ["dhl"]],
  ["3SDEVC172649258", ["postnl"]],
  ["090367574000000FE1E1B", ["royal_mail"]],
  // It fits La Poste, as nearly everything does.
  ["6A18987970674", []],
  ["ups", []],
])("%s could be of %j, in this order", (number, codes) => {
  expect(possibleCarriers(number).slice(0, Math.max(codes.length, 1))).toEqual(codes);
});

test("whoever could be the carrier takes the number", () => {
  const samples = TRACKING_NUMBER_FORMATS.flatMap(({ samples: s }) => [...s.valid, ...s.invalid]);
  const anyNumber = fc.oneof(
    fc.constantFrom(...samples),
    fc.stringMatching(/^[0-9]{8,36}$/),
    fc.stringMatching(/^[A-Z]{2}[0-9]{9}[A-Z]{2}$/),
    fc.stringMatching(/^(420[0-9]{5}|420[0-9]{9})?9[1-5][0-9]{20}$/),
  );
  fc.assert(
    fc.property(anyNumber, (number) => {
      for (const code of possibleCarriers(number))
        if (!checkTrackingNumber(code, number).ok) return false;
      return true;
    }),
    { numRuns: 1000 },
  );
});

const folder = process.env.CARRIER_SAMPLES;

interface OfficialFormat {
  readonly id: string;
  readonly carrier: string;
  readonly valid: readonly string[];
  readonly invalid: readonly string[];
  readonly valid_generated_by_rule?: readonly string[];
}

function readList<T>(path: string): T {
  return JSON.parse(readFileSync(join(folder ?? "", path), "utf8"));
}

describe.skipIf(!folder)("the list of formats (CARRIER_SAMPLES is set)", () => {
  test("its examples are judged alike", () => {
    const { formats } = readList<{ formats: OfficialFormat[] }>("tracking-numbers.json");
    expect(formats.length).toBeGreaterThan(0);
    for (const { id, carrier, valid, invalid, valid_generated_by_rule = [] } of formats) {
      const format = TRACKING_NUMBER_FORMATS.find((f) => f.id === id);
      if (format === undefined) throw new Error(`${id} is missing`);
      if (!carrier.includes(" ")) expect([id, ...format.carriers]).toContain(carrier);
      const right = [...valid, ...valid_generated_by_rule];
      expect([id, right.filter((number) => isOf(format, number))]).toEqual([id, right]);
      expect([id, invalid.filter((number) => isOf(format, number))]).toEqual([id, []]);
    }
  });

  test.each(["fedex", "usps"])("the test numbers of %s are taken by it", (code) => {
    const { numbers } = readList<{ numbers: object }>(`${code}/sandbox-numbers.json`);
    expect(Object.keys(numbers).length).toBeGreaterThan(0);
    const refused = Object.keys(numbers).filter(
      (number) => !checkTrackingNumber(code, carrierNumber(code, number)).ok,
    );
    expect(refused).toEqual([]);
  });
});
