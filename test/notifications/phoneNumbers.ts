/** One thing somebody wrote: whether it may be stored as it is, and what becomes of it where a person enters it. */
export interface PhoneRow {
  readonly what: string;
  readonly written: string;
  readonly country?: string;
  readonly isStorable: boolean;
  /** Its stored form, or the code of the refusal. */
  readonly becomes: string;
}

const row = (
  what: string,
  written: string,
  country: string | null,
  isStorable: boolean,
  becomes: string,
): PhoneRow => ({ what, written, isStorable, becomes, ...(country !== null && { country }) });

/** The numbering plans are the library's; numbers of no subscriber where a plan has some. */
export const PHONE_ROWS: readonly PhoneRow[] = [
  row("a British landline in international form", "+442079460123", null, true, "+442079460123"),
  row("the same as Britons write it", "020 7946 0123", "GB", false, "+442079460123"),
  row("the same with the zero in parentheses", "+44 (0)20 7946 0123", null, false, "+442079460123"),
  row("the same as dialled from abroad", "00442079460123", "GB", false, "+442079460123"),
  row("the same as dialled from America", "011 44 20 7946 0123", "US", false, "+442079460123"),
  row("a British mobile", "07400 123456", "GB", false, "+447400123456"),
  row("an American number", "(212) 555-0123", "US", false, "+12125550123"),
  row("an American number with dots", "212.555.0123", "us", false, "+12125550123"),
  row("a French mobile", "06 12 34 56 78", "FR", false, "+33612345678"),
  row("a German mobile", "0171/1234567", "DE", false, "+491711234567"),
  row("an Italian landline, whose zero stays", "06 1234 5678", "IT", false, "+390612345678"),
  row(
    "an Argentine mobile, whose 15 becomes a 9",
    "011 15-2345-6789",
    "AR",
    false,
    "+5491123456789",
  ),
  row("a foreign number where a country is named", "+33612345678", "GB", true, "+33612345678"),
  row("a trailing newline", "+442079460123\n", null, false, "+442079460123"),
  row("a leading newline", "\n+442079460123", null, false, "+442079460123"),
  row("a trailing carriage return", "+442079460123\r", null, false, "+442079460123"),
  row(
    "marks of an address book around it",
    "\u202a+44 20 7946 0123\u202c",
    null,
    false,
    "+442079460123",
  ),
  row("a zero-width space", "+44\u200b2079460123", null, false, "+442079460123"),
  row("full-width digits", "＋４４２０７９４６０１２３", null, false, "+442079460123"),
  row("one full-width digit at the end", "+44207946012３", null, false, "+442079460123"),
  row("Arabic-Indic digits", "+٤٤٢٠٧٩٤٦٠١٢٣", null, false, "+442079460123"),
  row("Devanagari digits", "+४४२०७९४६०१२३", null, false, "PHONE_NOT_A_NUMBER"),
  row("nothing", "", "GB", false, "PHONE_NOT_A_NUMBER"),
  row("a blank", " ", "GB", false, "PHONE_NOT_A_NUMBER"),
  row("a plus sign alone", "+", null, false, "PHONE_NOT_A_NUMBER"),
  row("two plus signs", "++442079460123", null, false, "PHONE_NOT_A_NUMBER"),
  row("a word", "hello", "GB", false, "PHONE_NOT_A_NUMBER"),
  row("letters for digits", "1-800-FLOWERS", "US", false, "PHONE_NOT_A_NUMBER"),
  row("two numbers, one a line", "+442079460123\n+442079460124", null, false, "PHONE_NOT_A_NUMBER"),
  row("a bell in the middle", "+44207946\u00070123", null, false, "PHONE_NOT_A_NUMBER"),
  row("an SQL tail", "+442079460123'; --", null, false, "PHONE_NOT_A_NUMBER"),
  row("a tel: link", "tel:+442079460123", null, false, "PHONE_NOT_A_NUMBER"),
  row("an extension", "020 7946 0123 ext 12", "GB", false, "PHONE_EXTENSION"),
  row("no country", "020 7946 0123", null, false, "PHONE_NO_COUNTRY"),
  row("a country code of nobody", "+999123456789", null, true, "PHONE_NO_COUNTRY"),
  row("a country code that begins with a zero", "+0442079460123", null, false, "PHONE_NO_COUNTRY"),
  row("a country that is none", "020 7946 0123", "XX", false, "UNKNOWN_COUNTRY"),
  row("an emergency number", "112", "GB", false, "PHONE_TOO_SHORT"),
  row("an American short code", "88888", "US", false, "PHONE_TOO_SHORT"),
  row("one digit", "+1", null, false, "PHONE_TOO_SHORT"),
  row("two digits", "+12", null, true, "PHONE_TOO_SHORT"),
  row("15 digits", "+123456789012345", null, true, "PHONE_TOO_LONG"),
  row("16 digits", "+1234567890123456", null, false, "PHONE_TOO_LONG"),
  row("a digit too many", "+4420794601234", null, true, "PHONE_TOO_LONG"),
  row("a range that is not in use", "076 1234 5678", "GB", false, "PHONE_NOT_VALID"),
  row("a premium-rate number", "0906 123 4567", "GB", false, "PHONE_NOBODYS"),
  row("a premium-rate number in stored form", "+499001234567", null, true, "PHONE_NOBODYS"),
  row("a freephone number", "0800 123456", "GB", false, "PHONE_NOBODYS"),
  row("a company's number", "055 1234 5678", "GB", false, "PHONE_NOBODYS"),
];
