import { TYPES } from "postgraphile/@dataplan/pg";
import { lambda } from "postgraphile/grafast";
import { wrapPlans } from "postgraphile/utils";

/** 22:00:00.000000 → 22:00; seconds are shown where there are some. */
function inMinutes(time: unknown): string | null {
  return typeof time === "string" ? time.replace(/(:00)?\.0+$/, "") : null;
}

/** Times of day read as people write them and as mutations take them; PostGraphile gives microseconds. */
export const timeOfDayPlugin: GraphileConfig.Plugin = wrapPlans(
  ({ scope }) => scope.pgFieldAttribute?.codec === TYPES.time || null,
  () => (plan) => lambda(plan(), inMinutes, true),
  { name: "BookpostTimeOfDayPlugin", version: "0.0.0" },
);
