/** The named entities carriers have been seen to use, and the five of XML. */
const NAMED: Readonly<Record<string, string>> = {
  amp: "&",
  apos: "'",
  copy: "©",
  gt: ">",
  lt: "<",
  nbsp: " ",
  quot: '"',
  reg: "®",
  trade: "™",
};

const LAST_CODE_POINT = 0x10ffff;

/**
 * A carrier's HTML as the plain text it shows: tags are dropped, a line break is
 * a space, and entities are read once, so "&amp;lt;" stays "&lt;". Entities we
 * do not know stay as they are. What comes out is no HTML any more and still
 * has to be escaped by whoever writes HTML.
 */
export function plainText(html: string): string {
  return html
    .replaceAll(/<br\s*\/?>/gi, " ")
    .replaceAll(/<\/?[a-z][^<>]*>/gi, "")
    .replaceAll(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}));/gi, (whole, dec, hex, name) => {
      if (name !== undefined) {
        const key = String(name).toLowerCase();
        return Object.hasOwn(NAMED, key) ? (NAMED[key] ?? whole) : whole;
      }
      const codePoint = dec === undefined ? Number.parseInt(hex, 16) : Number(dec);
      return codePoint <= LAST_CODE_POINT ? String.fromCodePoint(codePoint) : whole;
    });
}
