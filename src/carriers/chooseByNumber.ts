import { NotFound } from "../errors.ts";
import { normalizeTrackingNumber } from "./trackingNumber.ts";

/**
 * Which of an answer's shipments is the one asked for: the one that names the
 * number (the first, with a warning, where several do), or else the only one
 * there is. Several of which none names it count as not found: somebody else's
 * parcel is worse than no news.
 * @throws NotFound AMBIGUOUS
 */
export function chooseByNumber<Shipment>(
  shipments: readonly Shipment[],
  trackingNumber: string,
  numbersOf: (shipment: Shipment) => readonly (string | undefined)[],
): { readonly chosen: Shipment; readonly warnings: readonly string[] } {
  const wanted = normalizeTrackingNumber(trackingNumber);
  const matching = shipments.filter((shipment) =>
    numbersOf(shipment).some((number) => number && normalizeTrackingNumber(number) === wanted),
  );
  const [first] = matching;
  if (first !== undefined)
    return {
      chosen: first,
      warnings:
        matching.length === 1
          ? []
          : [`${matching.length} shipments have this number; the first was taken`],
    };
  const [only] = shipments;
  if (only !== undefined && shipments.length === 1)
    return { chosen: only, warnings: ["the only shipment in the answer has another number"] };
  throw new NotFound(
    "AMBIGUOUS",
    `The carrier answered with ${shipments.length} shipments, and none has the number that was asked for. Check the number.`,
  );
}
