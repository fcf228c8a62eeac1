import fc from "fast-check";
import { histories, settings, type Told } from "./commands.ts";
import { type Lane, PARCELS, reset, WORKERS } from "./lane.ts";
import { newWorld } from "./world.ts";

export interface Plan {
  readonly runs: number;
  readonly seed: number;
  /** Both from the report of a failed run: begins where that ended. */
  readonly path?: string;
  readonly replayPath?: string;
  readonly onRun?: () => void;
  /** Whether to look for the shortest history that fails. */
  readonly isShrunk?: boolean;
}

export interface Verdict {
  /** fast-check's report of the shortest history that fails; null: none did. */
  readonly failure: string | null;
  /** What was told and which way the circuit moved → how often. */
  readonly happened: ReadonlyMap<string, number>;
}

/** Runs random histories in a lane, one after the other, each against a model of its own. */
export async function runHistories(lane: Lane, plan: Plan): Promise<Verdict> {
  const happened = new Map<string, number>();
  const details = await fc.check(
    fc.asyncProperty(settings, histories(plan.replayPath), async (limits, steps) => {
      await reset(lane, limits);
      const told: Told = { world: newWorld(limits, PARCELS, WORKERS.length), happened };
      await fc.asyncModelRun(() => ({ model: told, real: lane }), steps);
      plan.onRun?.();
    }),
    {
      seed: plan.seed,
      numRuns: plan.runs,
      includeErrorInReport: true,
      endOnFailure: plan.isShrunk === false,
      ...(plan.path === undefined ? {} : { path: plan.path }),
    },
  );
  const report = details.failed ? await fc.asyncDefaultReportMessage(details) : undefined;
  return { failure: report ?? null, happened };
}
