import { Rejected } from "../errors.ts";

/**
 * What an aggregator calls the carrier of a parcel, out of its table of our
 * carrier code → its own word. Never a guess: asked about the wrong carrier, it
 * may answer with somebody else's parcel, and registering one costs money.
 * @throws Rejected CARRIER_NOT_SUPPORTED
 */
export function aggregatorToken<Token>(
  tokens: ReadonlyMap<string, Token>,
  carrierCode: string,
  aggregatorName: string,
): Token {
  const token = tokens.get(carrierCode);
  if (token === undefined)
    throw new Rejected(
      "CARRIER_NOT_SUPPORTED",
      `${aggregatorName} was not asked: we have no name of it for the carrier "${carrierCode}". Let another API answer for that carrier.`,
    );
  return token;
}
