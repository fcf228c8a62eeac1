import { XMLParser, XMLValidator } from "fast-xml-parser";

/**
 * Of entities only the five of XML itself are read. A document that defines its
 * own is refused: they could reach for our files or grow without end. Numbers
 * stay texts, since a code such as 0174 would lose its zero.
 */
const parser = new XMLParser({
  ignoreAttributes: true,
  removeNSPrefix: true,
  parseTagValue: false,
  trimValues: true,
  processEntities: true,
});

/**
 * Reads an XML answer into plain objects: an element with children is an
 * object, one with text a string, a repeated one an array.
 * @throws Error on anything that is not well-formed, and on a document type declaration
 */
export function readXml(text: string): unknown {
  if (/<!DOCTYPE/i.test(text)) throw new Error("a document type declaration is refused");
  const valid = XMLValidator.validate(text);
  if (valid !== true) throw new Error(valid.err.msg);
  return parser.parse(text);
}
