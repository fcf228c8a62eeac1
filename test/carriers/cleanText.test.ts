import fc from "fast-check";
import { expect, test } from "vitest";
import { cleanText } from "../../src/carriers/cleanText.ts";

test.each([
  ["  DELIVERED \r\n left at\tdoor ", "DELIVERED left at door"],
  ["a\0b\u0007c\u2028d\u0085e", "a b c d e"],
  ["safe\u202edelivered\u2066\u200f", "safedelivered"],
  ["Mu\u0308nchen", "München"],
  ["half \ud83d", "half \ufffd"],
  ["<b>&amp;</b>", "<b>&amp;</b>"],
  ["\u202e \n", null],
  ["", null],
  [null, null],
  [undefined, null],
])("%j reads %j", (text, clean) => {
  expect(cleanText(text)).toBe(clean);
});

test("a text is cut at 500 and never inside a character", () => {
  expect(cleanText("x".repeat(501))).toBe("x".repeat(500));
  expect(cleanText(`${"x".repeat(499)}📚`)).toBe("x".repeat(499));
  expect(cleanText("y".repeat(1_000_000))?.length).toBe(500);
});

test("whatever comes in, what comes out is safe, and clean already", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 700 }), (text) => {
      const clean = cleanText(text);
      if (clean === null) return;
      expect(clean.isWellFormed()).toBe(true);
      expect(clean.normalize("NFC")).toBe(clean);
      expect(clean).not.toMatch(
        /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u,
      );
      expect(clean.length).toBeLessThanOrEqual(500);
      expect(cleanText(clean)).toBe(clean);
    }),
  );
});
