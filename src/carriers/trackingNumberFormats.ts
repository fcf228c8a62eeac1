import { hasMod7Digit, hasMod10Digit, hasMod11Digit, hasS10Digit } from "./checkDigits.ts";
import { uspsPackageCodes } from "./uspsPackageCodes.ts";

/** One form that tracking numbers have. Numbers are normalised: upper case, no spaces or hyphens. */
export interface TrackingNumberFormat {
  readonly id: string;
  /** Completes "this is …" and "the check digit of …". */
  readonly name: string;
  /** Codes of the carriers whose numbers have this form, the likeliest first. */
  readonly carriers: readonly string[];
  /** Where the number itself tells which of them is the likeliest. */
  readonly likeliest?: (number: string) => string | undefined;
  readonly pattern: RegExp;
  readonly checkDigit: {
    readonly holds: (number: string) => boolean;
    /** Carriers at which a wrong digit refuses nothing → why. */
    readonly excused: Readonly<Record<string, string>>;
  } | null;
  /** A number of these carriers that begins so has this form or is wrong. */
  readonly opening?: { readonly pattern: RegExp; readonly rule: string };
  /** No other carrier has such numbers. */
  readonly isUnmistakable?: true;
  /** How much the form says for its carriers. None: it fits nearly anything, and counts only where nothing else does. */
  readonly evidence: "strong" | "fair" | "weak" | "none";
  readonly samples: { readonly valid: readonly string[]; readonly invalid: readonly string[] };
}

/** Post offices: any of them may be asked about a number that another one gave out. */
const POSTS = [
  "usps",
  "royal_mail",
  "canada_post",
  "la_poste",
  "australia_post",
  "postnl",
  "dhl",
] as const;

/** The country at the end of an S10 number → the post that gave it out; DE is Deutsche Post, which is DHL. */
const ORIGINS: ReadonlyMap<string, string> = new Map([
  ["US", "usps"],
  ["GB", "royal_mail"],
  ["CA", "canada_post"],
  ["FR", "la_poste"],
  ["AU", "australia_post"],
  ["NL", "postnl"],
  ["DE", "dhl"],
]);

const NUMBERS_LIKE_THESE = "has other numbers of as many digits, without this check digit";
const FEDEX_SANDBOX = { fedex: "the numbers of FedEx's sandbox do not keep to it" };

/**
 * Sources: forms, check digits and most samples from
 * jkeen/tracking_number_data (MIT, 2017 Jeff Keen, commit b79ce4bf), told in
 * our own words; where a line names a specification, from the carrier's own.
 */
export const TRACKING_NUMBER_FORMATS: readonly TrackingNumberFormat[] = [
  {
    id: "ups_1z",
    name: "a UPS number that starts with 1Z",
    carriers: ["ups"],
    pattern: /^1Z[A-Z0-9]{15}\d$/,
    checkDigit: {
      holds: (number) => hasMod10Digit(number.slice(2), [1, 2]),
      excused: { ups: "UPS's own test numbers, such as 1Z12345E0205271688, break it" },
    },
    opening: {
      pattern: /^1Z/,
      rule: "a UPS number that starts with 1Z has 18 letters and digits and ends in a digit",
    },
    isUnmistakable: true,
    evidence: "strong",
    samples: {
      valid: ["1Z5R89390357567127", "1Z8V92A70367203024", "1ZXX3150YW44070023"],
      invalid: ["1Z5R89390357567128", "1Z5R8939035756712", "1Z5R8939035756712X"],
    },
  },
  {
    // UPS Track Alert specification; its check digit is not published.
    id: "ups_roadie_1r",
    name: "a UPS Roadie number",
    carriers: ["ups"],
    pattern: /^1R(?:[A-Z0-9]{14}|[A-Z0-9]{26})$/,
    checkDigit: null,
    opening: {
      pattern: /^1R/,
      rule: "a UPS number that starts with 1R has 16 or 28 letters and digits",
    },
    evidence: "fair",
    samples: {
      valid: ["1R12345678912345", "1R12345678901234567890123456"],
      invalid: ["1R1234567891234", "1R123456789123456"],
    },
  },
  {
    id: "ups_waybill",
    name: "a UPS waybill",
    carriers: ["ups"],
    pattern: /^[AHJKTV]\d{10}$/,
    checkDigit: { holds: (number) => hasMod10Digit(number.slice(1), [1, 2]), excused: {} },
    evidence: "fair",
    samples: {
      valid: ["K1506235620", "J4603636537", "V0490119172"],
      invalid: ["K1506235622", "B1506235620", "K150623562"],
    },
  },
  {
    // Others hand parcels to USPS for the last mile, under its numbers.
    id: "usps_impb",
    name: "a USPS package code",
    carriers: ["usps", "ups", "fedex", "dhl"],
    pattern: /^(?:420\d{5}(?:\d{4})?)?9[1-5](?:\d{18}|\d{20}|\d{24}|\d{28})$/,
    checkDigit: {
      holds: (number) => uspsPackageCodes(number).some((code) => hasMod10Digit(code, [3, 1])),
      excused: {
        ups: `UPS ${NUMBERS_LIKE_THESE}`,
        fedex: `FedEx ${NUMBERS_LIKE_THESE}`,
        dhl: `DHL ${NUMBERS_LIKE_THESE}`,
      },
    },
    evidence: "strong",
    samples: {
      valid: [
        "9400111206206406260787",
        "92748931507708513018050063",
        "420787459400111206206406260787",
        "4201002334249200190132607600833457",
        "4201028200009261290113185417468510",
      ],
      invalid: [
        "9400111206206406260780",
        "9600111206206406260787",
        "4201028200009261290113185417468511",
        "940011120620640626078",
      ],
    },
  },
  {
    id: "usps_legacy20",
    name: "a USPS number of 20 digits",
    carriers: ["usps"],
    pattern: /^\d{20}$/,
    checkDigit: {
      // Certified Mail counts a 91 in front that is not printed.
      holds: (number) => hasMod10Digit(number, [3, 1]) || hasMod10Digit(`91${number}`, [3, 1]),
      excused: {},
    },
    evidence: "fair",
    samples: {
      valid: ["03071790000523483741", "71123456789123456787", "71969010756003077385"],
      invalid: ["03071790000523483742", "0307179000052348374", "030717900005234837410"],
    },
  },
  {
    // Universal Postal Union, standard S10.
    id: "s10",
    name: "an international postal number",
    carriers: POSTS,
    likeliest: (number) => ORIGINS.get(number.slice(-2)),
    pattern: /^[A-Z]{2}\d{9}[A-Z]{2}$/,
    checkDigit: { holds: hasS10Digit, excused: {} },
    evidence: "strong",
    samples: {
      // The last two are made up: their check digits are the two that the standard replaces.
      valid: ["RB123456785US", "RB123456785CV", "FQ087430672GB", "RR000000005NL", "RR003000000FR"],
      invalid: ["RB123456786US", "RB12345678GB", "R1123456785GB", "RR000000001NL", "RR003000001FR"],
    },
  },
  {
    id: "fedex_express_12",
    name: "a FedEx number of 12 digits",
    carriers: ["fedex"],
    pattern: /^\d{12}$/,
    checkDigit: { holds: (number) => hasMod11Digit(number, [3, 1, 7]), excused: FEDEX_SANDBOX },
    evidence: "fair",
    samples: {
      valid: ["986578788855", "477179081230", "799531274483"],
      invalid: ["986578788856", "98657878885", "9865787888555"],
    },
  },
  {
    id: "fedex_ground_15",
    name: "a FedEx number of 15 digits",
    carriers: ["fedex"],
    pattern: /^\d{15}$/,
    checkDigit: { holds: (number) => hasMod10Digit(number, [1, 3]), excused: FEDEX_SANDBOX },
    evidence: "fair",
    samples: {
      valid: ["041441760228964", "568283610012000", "568283610012734"],
      invalid: ["568283610012732", "56828361001273", "5682836100127340"],
    },
  },
  {
    // FedEx Track specification, mock numbers: Ground Economy, no check digit told.
    id: "fedex_ground_economy_20",
    name: "a FedEx number of 20 digits",
    carriers: ["fedex"],
    pattern: /^\d{20}$/,
    checkDigit: null,
    evidence: "weak",
    samples: {
      valid: ["02394653001023698293", "61292701078443410536"],
      invalid: ["0239465300102369829", "0239465300102369829X"],
    },
  },
  {
    id: "fedex_ground_96_22",
    name: "a FedEx number of 22 digits",
    carriers: ["fedex"],
    pattern: /^96\d{20}$/,
    checkDigit: {
      // Counted from the eighth digit on; before it stands what kind of label it is.
      holds: (number) => hasMod10Digit(number.slice(7), [1, 3]),
      excused: FEDEX_SANDBOX,
    },
    evidence: "strong",
    samples: {
      valid: ["9611020987654312345672", "9611020987654859952890"],
      invalid: ["9611020987654312345673", "961102098765431234567"],
    },
  },
  {
    // The barcode; the last 12 digits are the number that people are given.
    id: "fedex_96_34",
    name: "a FedEx barcode of 34 digits",
    carriers: ["fedex"],
    pattern: /^96\d{32}$/,
    checkDigit: {
      holds: (number) => hasMod11Digit(number.slice(20), [1, 7, 3]),
      excused: FEDEX_SANDBOX,
    },
    evidence: "strong",
    samples: {
      valid: ["9622001900000000000000776632517510", "9622001560001234567100794808390594"],
      invalid: ["9622001560001234567100794808390595", "962200156000123456710079480839059"],
    },
  },
  {
    // One number in seven fits by chance.
    id: "dhl_express_waybill",
    name: "a DHL Express waybill",
    carriers: ["dhl"],
    pattern: /^\d{10,11}$/,
    checkDigit: {
      holds: hasMod7Digit,
      excused: { dhl: "other parts of DHL number with 10 or 11 digits too, by their own rules" },
    },
    evidence: "weak",
    samples: {
      valid: ["3318810025", "73891051146", "8487135506"],
      invalid: ["3318810010", "331881002", "331881002500"],
    },
  },
  {
    id: "dhl_express_piece",
    name: "a DHL Express piece number",
    carriers: ["dhl"],
    pattern: /^J[A-Z]{2,3}\d{9,20}$/,
    checkDigit: null,
    evidence: "fair",
    samples: {
      valid: ["JJD0099999999", "JVGL0999999990"],
      invalid: ["XJD0099999998", "JJD00999999"],
    },
  },
  {
    // GMDBD8E9CCE94842E495B7 stands in DHL's Unified Tracking specification.
    id: "dhl_ecommerce",
    name: "a DHL eCommerce number",
    carriers: ["dhl"],
    pattern: /^(?:GM|LX|RX|UV|CN|SG|TH|IN|HK|MY)(?=[A-Z]*\d)[A-Z0-9]{10,39}$/,
    checkDigit: null,
    evidence: "fair",
    samples: {
      valid: ["GM2951173225174494", "GM9E44608A27984866BA2D", "GMDBD8E9CCE94842E495B7"],
      invalid: ["GS295117494011169041", "GMABCDEFGHIJKL", "GM295117"],
    },
  },
  {
    id: "dhl_ecommerce_14",
    name: "a DHL eCommerce number of 14 digits",
    carriers: ["dhl"],
    pattern: /^\d{14}$/,
    checkDigit: null,
    evidence: "weak",
    samples: {
      valid: ["60120172242323", "51087693037816"],
      invalid: ["A60120172242323", "160120172242323"],
    },
  },
  {
    id: "canada_post_16",
    name: "a Canada Post number of 16 digits",
    carriers: ["canada_post"],
    pattern: /^\d{16}$/,
    checkDigit: { holds: (number) => hasMod10Digit(number, [3, 1]), excused: {} },
    evidence: "fair",
    samples: {
      valid: ["0073938000549297", "7035114477138472", "4002847016405018"],
      invalid: ["0073938000549292", "5002847016405018", "007393800054929"],
    },
  },
  {
    // Canada Post's tracking service takes the number of the card that was left at the door as well. Samples made up.
    id: "canada_post_notice_card",
    name: "the number of a Canada Post notice card",
    carriers: ["canada_post"],
    pattern: /^\d{15}$/,
    checkDigit: null,
    evidence: "weak",
    samples: { valid: ["123456789012345"], invalid: ["12345678901234", "12345678901234A"] },
  },
  {
    // Royal Mail Tracking API v2 specification; the length is that of its examples.
    id: "royal_mail_2d",
    name: "a Royal Mail 2D barcode",
    carriers: ["royal_mail"],
    pattern: /^[0-9A-F]{21}$/,
    checkDigit: null,
    evidence: "fair",
    samples: {
      valid: ["090367574000000FE1E1B"],
      invalid: ["090367574000000FE1E1", "090367574000000FE1E1G"],
    },
  },
  {
    // What La Poste's Suivi v2 takes, as debuss/lapostesuivi (MIT) tells it.
    id: "la_poste",
    name: "a La Poste number",
    carriers: ["la_poste"],
    pattern: /^[A-Z0-9]{11,15}$/,
    checkDigit: null,
    evidence: "none",
    samples: {
      valid: ["6A18987970674", "6M17554710224"],
      invalid: ["6A18987970", "6A18987970674999"],
    },
  },
  {
    // PostNL's own SDK (MIT); how many digits there may be is not said, nor a check digit.
    id: "postnl_3s",
    name: "a PostNL number that starts with 3S",
    carriers: ["postnl"],
    pattern: /^3S[A-Z]{4}\d{6,13}$/,
    checkDigit: null,
    evidence: "fair",
    samples: {
      valid: ["3SDEVC172649258", "3SDEVC2260332157"],
      invalid: ["3SDEVC12", "2SDEVC172649258"],
    },
  },
];
