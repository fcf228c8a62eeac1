import { NotFound } from "../errors.ts";
import type { CarrierTime } from "./carrier.ts";
import { sortTime } from "./carrierTime.ts";

/**
 * Which of the shipments that share a number is meant: carriers use numbers
 * again, so the one shipped last is the one that travels. Where the dates do
 * not tell, it counts as not found: somebody else's parcel is worse than no news.
 * @throws NotFound AMBIGUOUS
 */
export function chooseNewest<Shipment>(
  shipments: readonly Shipment[],
  shippedAt: (shipment: Shipment) => CarrierTime | null,
): { readonly chosen: Shipment; readonly warnings: readonly string[] } {
  const [only, second] = shipments;
  if (only !== undefined && second === undefined) return { chosen: only, warnings: [] };
  const dated = shipments.flatMap((shipment) => {
    const time = shippedAt(shipment);
    return time === null ? [] : [{ shipment, ms: sortTime(time) }];
  });
  const [newest, next] = dated.toSorted((a, b) => b.ms - a.ms);
  if (newest === undefined || dated.length < shipments.length || newest.ms === next?.ms)
    throw new NotFound(
      "AMBIGUOUS",
      `The carrier knows ${shipments.length} shipments with this number, and their dates do not tell which is meant. Ask it with the day the parcel was sent.`,
    );
  return {
    chosen: newest.shipment,
    warnings: [`${shipments.length} shipments have this number; the one shipped last was taken`],
  };
}
