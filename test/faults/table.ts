import type { Area, Claim } from "./claim.ts";
import { guarantees } from "./guarantees.ts";
import { carriers } from "./rows/carriers.ts";
import { circuits } from "./rows/circuits.ts";
import { clocks } from "./rows/clocks.ts";
import { notifications } from "./rows/notifications.ts";
import { parcels } from "./rows/parcels.ts";
import { postgres } from "./rows/postgres.ts";
import { processes } from "./rows/processes.ts";
import { releases } from "./rows/releases.ts";

// What can break and what then happens, as data: `docs/failures.md` is printed from it, and
// `npm run test:faults` runs the tests it names. A new fault is a row here first.

/** By what breaks, in the order in which docs and run print them. */
export const areas: readonly Area[] = [
  processes,
  postgres,
  clocks,
  carriers,
  circuits,
  parcels,
  notifications,
  releases,
];

/** One line of the run's table. */
export interface Row {
  readonly area: string;
  readonly name: string;
  readonly claim: Claim;
}

/** Everything we say, promises first. */
export const rows: readonly Row[] = [
  ...guarantees.map((claim) => ({
    area: "Promises",
    name: `${claim.id} ${claim.must}`,
    claim,
  })),
  ...areas.flatMap(({ area, faults }) =>
    faults.map((claim) => ({ area, name: claim.fault, claim })),
  ),
];
