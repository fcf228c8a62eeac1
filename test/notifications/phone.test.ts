import { inspect } from "node:util";
import fc from "fast-check";
import { getCountries, getExampleNumber } from "libphonenumber-js/max";
import examples from "libphonenumber-js/mobile/examples";
import { expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import {
  isE164,
  isTextable,
  normalizePhone,
  whyNotTextable,
} from "../../src/notifications/phone.ts";

function refusalOf(written: string, country?: string): UsageError {
  try {
    normalizePhone(written, country);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

test.each([
  [
    "020 7946 0123",
    undefined,
    "The phone number that ends in 23 needs a country: write it with + and the country's code, or name the country.",
  ],
  ["020 794", "GB", "The phone number that ends in 94 is too short for United Kingdom (GB)."],
  [
    "020 7946 0123 4",
    "GB",
    "The phone number that ends in 34 is too long for United Kingdom (GB).",
  ],
  [
    "076 1234 5678",
    "GB",
    "The phone number that ends in 78 is not in use in United Kingdom (GB); look for a wrong digit.",
  ],
  [
    "0906 123 4567",
    "GB",
    "The phone number that ends in 67 is a premium-rate number in United Kingdom (GB), not a person's phone.",
  ],
  [
    "020 7946 0123 ext 12",
    "GB",
    "The phone number that ends in 12 has an extension; leave it out.",
  ],
  ["020 7946 0123", "England", '"England" is no country; give its two letters, such as GB or US.'],
  ["call me", "GB", "The phone number is none: it may hold digits, spaces, and + - . / ( )."],
  [
    "+999 123 456 789",
    undefined,
    "The phone number that ends in 89 begins with the code of no country.",
  ],
])("%s with country %s is refused in a sentence that says why", (written, country, sentence) => {
  expect(refusalOf(written, country).message).toBe(sentence);
});

test("a number that is given for the country by mistake is not shown", () => {
  expect(refusalOf("GB", "+442079460123").message).toBe(
    "What is given as the country is no country; give its two letters, such as GB or US.",
  );
});

test("no refusal shows more of a number than its last two digits", () => {
  const digits = fc.stringMatching(/^\+?[0-9]{5,20}$/);
  fc.assert(
    fc.property(digits, fc.constantFrom(undefined, "GB", "US", "FR", "DE"), (written, country) => {
      try {
        normalizePhone(written, country);
      } catch (error) {
        const shown = inspect(error, { depth: 9 }) + JSON.stringify(error) + (error as Error).stack;
        const all = written.replace("+", "");
        // The country's code is nobody's secret. The stack has line numbers.
        const told = (error as Error).message.replace(/country code \d{1,3}\b/, "");
        for (let i = 0; i + 3 <= all.length; i++) expect(told).not.toContain(all.slice(i, i + 3));
        expect(shown).not.toContain(all);
      }
    }),
  );
});

test("whatever is taken has the form in which numbers are stored, and is taken again as it is", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.stringMatching(/^[+0-9 ()-]{4,20}$/)),
      fc.constantFrom(undefined, ...getCountries()),
      (written, country) => {
        let stored: string;
        try {
          stored = normalizePhone(written, country);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          return;
        }
        expect(isE164(stored)).toBe(true);
        expect(normalizePhone(stored)).toBe(stored);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("the library's example of a mobile phone is taken and can be sent a text, in every country", () => {
  const refused = getCountries().filter((country) => {
    const example = getExampleNumber(country, examples);
    if (example === undefined) return true;
    return !isTextable(normalizePhone(example.formatNational(), country));
  });
  expect(refused).toEqual([]);
});

test.each([
  ["a landline", "+442079460123"],
  ["a premium-rate number", "+449061234567"],
  ["a shared-cost number", "+61 1300 123 456".replaceAll(" ", "")],
  ["a personal number, billed like a premium one", "+447012345678"],
  ["a VoIP number", "+445612345678"],
  ["a freephone number", "+18005550123"],
  ["a satellite phone", "+870773111632"],
  ["an international network", "+883510000000000"],
  ["a range that is not in use", "+447612345678"],
  ["what is too short", "+12"],
  ["what is no number", "hello"],
])("%s is sent no text", (_, phoneNumber) => {
  const reason = whyNotTextable(phoneNumber, null);
  expect(reason).toMatch(/^The phone number .*\.$/);
  expect(reason).not.toMatch(/\d{3}/);
});

test("a number of a country that is not listed is sent no text, though its country code is shared", () => {
  const countries = new Set(["US"]);
  expect(whyNotTextable("+12125550123", countries)).toBeNull();
  // Jamaica shares +1.
  expect(whyNotTextable("+18762101234", countries)).toBe(
    "The phone number is of Jamaica (JM), which SMS_COUNTRIES does not name.",
  );
  expect(whyNotTextable("+18762101234", null)).toBeNull();
});
