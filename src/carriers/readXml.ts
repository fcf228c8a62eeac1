import { XMLParser, XMLValidator } from "fast-xml-parser";

/** Tracking answers are five elements deep. Chosen; deeper is an attack on whoever walks the result. */
const MAX_DEPTH = 32;

/** XML's own five. All others would come from a document type, and there is none. */
const NAMED: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

/**
 * Numbers stay texts, since a code such as 0174 would lose its zero. Entities
 * are our own affair: each is replaced once, by one character, so that no text
 * grows and nothing is read that was only spelled out ("&amp;lt;" is "&lt;").
 */
const parser = new XMLParser({
  ignoreAttributes: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  removeNSPrefix: true,
  parseTagValue: false,
  trimValues: true,
  jPath: false,
  maxNestedTags: MAX_DEPTH,
  processEntities: true,
  entityDecoder: {
    decode: decodeEntities,
    reset() {},
    setXmlVersion() {},
    setExternalEntities() {},
    addInputEntities() {},
  },
});

/**
 * Reads an XML answer into plain objects: an element with children is an
 * object, one with text a string, an empty one "", a repeated one an array.
 * Attributes, comments, processing instructions and prefixes of names are left out.
 * @throws Error on anything that is not one well-formed element, on a document
 * type or entity declaration, and on more than 32 levels
 */
export function readXml(text: string): unknown {
  // Before anything is parsed: a document type could reach for our files or grow without end.
  if (/<!(?!--|\[CDATA\[)/.test(text)) throw new Error("a declaration (<!…) is refused");
  const valid = XMLValidator.validate(text);
  if (valid !== true) throw new Error(valid.err.msg);
  const document: Record<string, unknown> = parser.parse(text);
  const roots = Object.values(document);
  // The validator lets other elements and text stand behind an empty one.
  if (roots.length !== 1 || Array.isArray(roots[0]) || !text.trimEnd().endsWith(">"))
    throw new Error("more than one root element");
  return document;
}

/** An entity that nobody has declared, and a number that is no character, stay as they are written. */
function decodeEntities(text: string): string {
  return text.replaceAll(
    /&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,4}));/gi,
    (written, decimal?: string, hexadecimal?: string, name?: string) => {
      if (name !== undefined)
        return Object.hasOwn(NAMED, name) ? (NAMED[name] ?? written) : written;
      const code = decimal === undefined ? Number.parseInt(hexadecimal ?? "", 16) : Number(decimal);
      const isCharacter = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
      return isCharacter ? String.fromCodePoint(code) : written;
    },
  );
}
