import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readXml } from "../../src/carriers/readXml.ts";
import { runCount } from "../helpers/runCount.ts";

describe("a document that reaches beyond itself is refused", () => {
  test.each([
    ["an external entity", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'],
    ["an external document type", '<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd"><a/>'],
    [
      "a parameter entity",
      '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/x.dtd"> %x;]><a>1</a>',
    ],
    [
      "entities that grow",
      '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;"><!ENTITY d "&c;&c;">]><a>&d;</a>',
    ],
    ["an empty document type", "<!DOCTYPE a><a/>"],
    ["one in another case", "<!doctype a><a/>"],
    ["one behind white space", '<?xml version="1.0"?>\n\n <!DOCTYPE a [ ]>\n<a/>'],
    ["an entity outside of any type", '<!ENTITY x "y"><a>&x;</a>'],
    ["a declaration inside the root", "<a><!ELEMENT b ANY></a>"],
  ])("%s", (_, text) => {
    expect(() => readXml(text)).toThrow("a declaration (<!…) is refused");
  });
});

describe("what is not one well-formed element is refused", () => {
  test.each([
    [""],
    ["   "],
    ["text"],
    ['{"json":true}'],
    ["<a>"],
    ["<a"],
    ["<a></b>"],
    ["<a><b></a></b>"],
    ["<p:a></q:a>"],
    ["<a/>more"],
    ["<a/><b/>"],
    ["<a/><a/>"],
    ["<a>1</a><a>2</a>"],
    ["<a b=1/>"],
    ['<a b="1" b="2"/>'],
    ["<a>x & y</a>"],
    ["<a>x < y</a>"],
    ["<1a/>"],
    ["<!-- only this -->"],
    ['<?xml version="1.0"?>'],
  ])("%j", (text) => {
    expect(() => readXml(text)).toThrow();
  });
});

test("names that JavaScript gives a meaning to cannot reach an object's prototype", () => {
  for (const name of ["__proto__", "constructor", "prototype"]) {
    const text = `<a><${name}><polluted>yes</polluted></${name}></a>`;
    expect(() => readXml(text)).toThrow();
  }
  expect(({} as { polluted?: string }).polluted).toBeUndefined();
});

test("nesting is read to 32 levels below the root's, and refused beyond", () => {
  const nested = (levels: number) => "<a>".repeat(levels) + "</a>".repeat(levels);
  expect(() => readXml(nested(32))).not.toThrow();
  expect(() => readXml(nested(34))).toThrow("Maximum nested tags exceeded");
  // The most that fits into an answer: neither the stack nor the day ends first.
  expect(() => readXml(nested(290_000))).toThrow();
});

test.each([
  ["many empty elements", `<a>${"<b/>".repeat(400_000)}</a>`],
  ["one long text", `<a>${"x".repeat(2_000_000)}</a>`],
  ["many references", `<a>${"&amp;".repeat(400_000)}</a>`],
  ["many numeric references", `<a>${"&#65;".repeat(400_000)}</a>`],
  ["many attributes", `<a ${Array.from({ length: 60_000 }, (_, i) => `b${i}="${i}"`).join(" ")}/>`],
  ["one long attribute", `<a b="${"x".repeat(2_000_000)}"/>`],
  ["one long name", `<${"a".repeat(1_000_000)}/>`],
  ["many comments", `<a>${"<!---->".repeat(280_000)}</a>`],
  ["many texts between comments", `<a>${"x<!---->".repeat(200_000)}</a>`],
])("an answer of two megabytes of %s is read", (_, text) => {
  expect(readXml(text)).toBeTypeOf("object");
});

test.each([
  ["ampersands", `<a>${"&".repeat(2_000_000)}</a>`],
  ["references that never end", `<a>${"&#".repeat(1_000_000)}</a>`],
  ["opened comments", `<a>${"<!--".repeat(500_000)}</a>`],
  ["opened CDATA sections", `<a>${"<![CDATA[".repeat(220_000)}</a>`],
  ["opened tags", "<a ".repeat(700_000)],
  ["opened quotes", `<a ${'b="'.repeat(600_000)}`],
])("two megabytes of %s are refused", (_, text) => {
  expect(() => readXml(text)).toThrow();
});

test("an element is an object, a text or empty; a repeated one is an array", () => {
  const text = `\ufeff<?xml version="1.0" encoding="UTF-8"?><?style x?>
    <!-- a comment --><t:list xmlns:t="urn:t" version="2">
      <t:one key="k">  0174 </t:one><empty/><blank> </blank>
      <many>1</many><many>2</many><tree><leaf>x<!-- y -->z</leaf></tree>
    </t:list>`;
  expect(readXml(text)).toEqual({
    list: { one: "0174", empty: "", blank: "", many: ["1", "2"], tree: { leaf: "xz" } },
  });
});

test("texts that look like numbers and truths stay as they are written", () => {
  expect(readXml("<a><b>007</b><c>1e3</c><d>true</d><e>0x1F</e></a>")).toEqual({
    a: { b: "007", c: "1e3", d: "true", e: "0x1F" },
  });
});

test.each([
  ["caf&#233;", "café"],
  ["caf&#xE9; &#x1F4E6;", "café 📦"],
  ["a &lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;", "a <b> & \"c\" 'd'"],
  ["&amp;lt;b&amp;gt;", "&lt;b&gt;"],
  ["&amp;#65;", "&#65;"],
  ["&#38;lt;", "&lt;"],
  ["<![CDATA[&amp; <b>]]>", "&amp; <b>"],
  // Nobody declared it; these are no characters.
  ["&eacute; &toString;", "&eacute; &toString;"],
  ["&#0; &#xD800; &#x110000; &#9999999;", "&#0; &#xD800; &#x110000; &#9999999;"],
])("%j is read once, as %j", (written, meant) => {
  expect(readXml(`<a>${written}</a>`)).toEqual({ a: meant });
});

test("any text comes back as it was escaped", () => {
  const escaped = (text: string) =>
    text.replaceAll(/[&<>]/g, (character) => `&#${character.codePointAt(0)};`);
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      expect(readXml(`<a>.${escaped(text)}.</a>`)).toEqual({ a: `.${text}.` });
    }),
  );
});

test("any text at all is read or refused with an Error", () => {
  const pieces = fc.constantFrom(
    ...'<a> </a> <b/> <!-- --> <![CDATA[ ]]> <? ?> & ; " = x'.split(" "),
  );
  const soup = fc.array(pieces, { maxLength: 30 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.oneof(soup, fc.string({ unit: "binary" })), (text) => {
      try {
        readXml(text);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
    { numRuns: runCount(400, 2_000) },
  );
});
