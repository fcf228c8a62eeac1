import { expect, test } from "vitest";
import { plainText } from "../../src/carriers/plainText.ts";

test.each([
  ["Priority Mail<SUP>&reg;</SUP>", "Priority Mail®"],
  ["USPS Tracking<SUP>&#174;</SUP> &#x2122;", "USPS Tracking® ™"],
  ["Left<br/>at the door<BR>", "Left at the door "],
  ['<a href="x">here</a>', "here"],
  ["M&amp;S, 5 &lt; 6", "M&S, 5 < 6"],
  // Read once: what was escaped twice stays escaped once.
  ["&amp;lt;b&amp;gt;", "&lt;b&gt;"],
  ["a < b > c", "a < b > c"],
  [
    "&unheard; &#99999999; &#1114112; & &constructor;",
    "&unheard; &#99999999; &#1114112; & &constructor;",
  ],
  ["", ""],
])("%j reads %j", (html, text) => {
  expect(plainText(html)).toBe(text);
});
