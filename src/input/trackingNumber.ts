import {
  carrierNumber,
  checkTrackingNumber,
  normalizeTrackingNumber,
} from "../carriers/trackingNumber.ts";
import { InputError } from "../errors.ts";

export interface AcceptedNumber {
  /** As it is stored and asked about. */
  readonly number: string;
  /** To be passed on to the person; null: none. */
  readonly doubt: string | null;
}

/**
 * The number that was typed, if it can be one of this carrier or the person insists.
 * @throws InputError BAD_NUMBER naming the rule that it breaks.
 */
export function acceptNumber(
  carrierCode: string,
  text: string,
  { insist }: { readonly insist?: boolean | null | undefined },
): AcceptedNumber {
  const number = carrierNumber(carrierCode, normalizeTrackingNumber(text));
  const check = checkTrackingNumber(carrierCode, number);
  if (check.ok) return { number, doubt: check.warning };
  if (insist) return { number, doubt: check.rule };
  throw new InputError(
    "BAD_NUMBER",
    "trackingNumber",
    (nameOf) =>
      `"${text.slice(0, 60)}" is not accepted: ${check.rule}. Look at the carrier and the number again, or insist with ${nameOf("insist")}.`,
  );
}
