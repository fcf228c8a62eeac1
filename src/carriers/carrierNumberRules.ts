/** What a carrier's numbers look like beyond the forms that are listed for it. */
export interface CarrierNumberRule {
  /** One clause for people: what its numbers look like. */
  readonly rule: string;
  /** Of no listed form, and taken without a word. */
  readonly alsoTakes: RegExp | null;
  /** Of no listed form, and taken with a doubt; whatever is neither is refused. */
  readonly alsoDoubts: RegExp | null;
  /** Why the line is drawn there. */
  readonly because: string;
}

const ANYTHING = /^/;

/**
 * Carriers with a rule of their own. Those left out are asked about anything:
 * aggregators and label printers (many carriers' numbers), Parcelforce and
 * "other" (nobody is asked, and we know no form of theirs).
 */
export const CARRIER_NUMBER_RULES: ReadonlyMap<string, CarrierNumberRule> = new Map([
  [
    "ups",
    {
      rule: "a UPS number has 7 to 34 letters and digits",
      alsoTakes: /^[A-Z0-9]{7,34}$/,
      alsoDoubts: null,
      because:
        "freight bills, references and parcels handed over by others have no form that is published; the Tracking API takes 7 to 34 characters",
    },
  ],
  [
    "usps",
    {
      rule: "a USPS number has 20 digits, 22, 26 or 30 digits that begin with 91 to 95, or is like RB123456785US",
      alsoTakes: null,
      alsoDoubts: null,
      because: "every tracked label follows Publication 199 or S10, user-reported numbers too",
    },
  ],
  [
    "fedex",
    {
      rule: "a FedEx number has 12, 15, 20, 22 or 34 digits",
      alsoTakes: null,
      // DT… is the tag left on a door.
      alsoDoubts: /^(?:DT)?\d{8,34}$/,
      because:
        "freight has lengths of its own; but all of FedEx's numbers and mock numbers are digits",
    },
  ],
  [
    "dhl",
    {
      rule: "a DHL number has 4 to 40 letters and digits",
      alsoTakes: ANYTHING,
      alsoDoubts: null,
      because:
        "one API answers for parcels, letters, express, freight and eCommerce of many countries, some of it by the sender's own reference",
    },
  ],
  [
    "royal_mail",
    {
      rule: "a Royal Mail number is like FQ087430672GB or has 21 digits and letters from A to F",
      alsoTakes: null,
      alsoDoubts: ANYTHING,
      because: "the length of its 2D barcodes is known from examples only",
    },
  ],
  [
    "canada_post",
    {
      rule: "a Canada Post number has 16 digits, 15 on a notice card, or is like RB123456785CA",
      alsoTakes: null,
      alsoDoubts: null,
      because: "its tracking service takes these three",
    },
  ],
  [
    "la_poste",
    {
      rule: "a La Poste number has 11 to 15 letters and digits",
      alsoTakes: null,
      alsoDoubts: null,
      because: "its tracking service refuses any other length",
    },
  ],
  [
    "australia_post",
    {
      rule: "an Australia Post number has 8 to 23 letters and digits",
      alsoTakes: /^[A-Z0-9]{8,23}$/,
      alsoDoubts: ANYTHING,
      because:
        "its article and consignment ids have no published form, and their length is hearsay",
    },
  ],
  [
    "postnl",
    {
      rule: "a PostNL number is like 3SDEVC172649258 or RB123456785NL",
      alsoTakes: null,
      alsoDoubts: ANYTHING,
      because: "only examples of the 3S form are published, not its limits",
    },
  ],
]);
