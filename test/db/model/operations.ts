import type pg from "pg";
import { acquireLookups } from "../../../src/sql/acquireLookups.ts";
import { confirmLookups } from "../../../src/sql/confirmLookups.ts";
import { dispatch } from "../../../src/sql/dispatch.ts";
import { forceCircuit } from "../../../src/sql/forceCircuit.ts";
import { payCall } from "../../../src/sql/payCall.ts";
import { recordLookups } from "../../../src/sql/recordLookups.ts";
import { releaseLookups } from "../../../src/sql/releaseLookups.ts";
import { sweep } from "../../../src/sql/sweep.ts";
import { failed, found } from "../../helpers/reports.ts";
import { type Lane, WORKERS } from "./lane.ts";
import * as model from "./world.ts";

/** Parcel or lookup → what was said of it. */
export type Told = Readonly<Record<string, unknown>>;

export interface Outcome {
  readonly told: Told;
  /** What the database called the permits it granted, by parcel. */
  readonly ids?: ReadonlyMap<number, { lookup: string; batch: string }>;
}

/** One call of one connection: what it does, and what the model says of it. */
export interface Operation {
  readonly text: string;
  /** Parcels whose rows it takes. */
  readonly parcels: readonly number[];
  run(lane: Lane, client: pg.Client): Promise<Outcome>;
  simulate(w: model.World, outcome: Outcome, excused: ReadonlySet<string>): Told;
  /** Which refusals it may meet that it would not have met alone: it waits for nobody. They change nothing. */
  excuses?(outcome: Outcome, rivals: readonly Operation[]): string[];
}

const name = (worker: number) => WORKERS[worker] ?? "";
const nothing: Told = {};

export function acquire(parcels: readonly number[], worker: number): Operation {
  return {
    text: `${name(worker)} asks for ${parcels.join(" ")}`,
    parcels,
    async run(lane, client) {
      const verdicts = await acquireLookups(
        client,
        parcels.map((p) => lane.parcelIds[p] ?? ""),
        name(worker),
      );
      const told: Record<number, string> = {};
      const ids = new Map<number, { lookup: string; batch: string }>();
      for (const verdict of verdicts) {
        const p = lane.parcelIds.indexOf(verdict.parcelId);
        told[p] = verdict.verdict;
        if (verdict.verdict === "permit")
          ids.set(p, { lookup: verdict.lookupId, batch: verdict.batchId });
      }
      return { told, ids };
    },
    simulate: (w, { ids }, excused) =>
      model.acquire(
        w,
        parcels.filter((p) => !excused.has(String(p))),
        worker,
        (p) => ids?.get(p),
      ),
    excuses: ({ told }, rivals) =>
      Object.keys(told).filter(
        (p) =>
          (told[p] === "busy" && rivals.some((rival) => rival.parcels.includes(Number(p)))) ||
          // A rival is moving the circuit.
          (told[p] === "circuit_half_open" &&
            rivals.some(({ excuses }) => excuses === busyLookups)),
      ),
  };
}

const busyLookups = ({ told }: Outcome) => Object.keys(told).filter((id) => told[id] === "busy");

export function record(
  w: model.World,
  reports: readonly model.Report[],
  worker: number,
): Operation {
  const parcels = w.leases.flatMap(({ lookup, parcel }) =>
    reports.some((report) => report.lookup === lookup) ? [parcel] : [],
  );
  return {
    text: `${name(worker)} reports ${reports
      .map(({ lookup, outcome, isApiWide, calls }) => {
        const lease = w.leases.find((held) => held.lookup === lookup);
        const what = lease ? lease.parcel : w.ended.includes(lookup) ? "late" : "forged";
        return `${what} ${outcome}${isApiWide ? " for the API" : ""}${calls === 0 ? " unsent" : ""}`;
      })
      .join(", ")}`,
    parcels,
    async run(_, client) {
      const ends = await recordLookups(
        client,
        reports.map(({ lookup, outcome, isApiWide, retryMinutes, calls }) => {
          const sent = Array.from({ length: calls }, () => ({
            kind: "lookup",
            http_status: 200,
            age_ms: 5,
            duration_ms: 5,
          }));
          return outcome === "found"
            ? found(lookup, { calls: sent, body: null, digest: "the same" })
            : failed(lookup, outcome, {
                calls: sent,
                is_api_wide: isApiWide,
                retry_after_ms: retryMinutes === null ? null : retryMinutes * 60_000,
              });
        }),
        name(worker),
      );
      return { told: Object.fromEntries(ends.map((end) => [end.lookupId, end.outcome])) };
    },
    simulate: (world, _, excused) =>
      model.record(
        world,
        reports.filter(({ lookup }) => !excused.has(lookup)),
        worker,
      ),
    excuses: busyLookups,
  };
}

export function release(w: model.World, lookups: readonly string[]): Operation {
  return {
    text: `gives back ${lookups.length} permits`,
    parcels: w.leases.flatMap(({ lookup, parcel }) => (lookups.includes(lookup) ? [parcel] : [])),
    run: async (_, client) => ({
      told: { released: await releaseLookups(client, lookups, "not used") },
    }),
    simulate: (world) => ({ released: model.release(world, lookups) }),
  };
}

export function pay(lookup: string, kind: "lookup" | "token"): Operation {
  return {
    text: `pays for a ${kind} more`,
    parcels: [],
    run: async (_, client) => ({
      told: { refusal: (await payCall(client, lookup, kind)).refusal },
    }),
    simulate: (w) => ({ refusal: model.pay(w, lookup, kind) }),
  };
}

export function confirm(lookups: readonly string[]): Operation {
  return {
    text: "confirms",
    parcels: [],
    run: async (_, client) => ({
      told: Object.fromEntries(
        (await confirmLookups(client, lookups)).map((told) => [told.lookupId, told.refusal]),
      ),
    }),
    simulate: (w) =>
      Object.fromEntries(lookups.map((lookup) => [lookup, model.confirm(w, lookup)])),
  };
}

/** `dead`: a worker that has died just before; another of its name takes its place afterwards. */
export function sweepUp(w: model.World, dead: number | null): Operation {
  return {
    text: dead === null ? "sweeps" : `sweeps after the death of ${name(dead)}`,
    parcels: [],
    async run(_, client) {
      if (dead !== null)
        await client.query(
          "update bookpost_private.workers set beat_at = '-infinity' where id = $1",
          [name(dead)],
        );
      const freed = await sweep(client);
      if (dead !== null)
        await client.query("select model.revive($1)", [
          w.workers.map(({ fingerprint }) => fingerprint),
        ]);
      return { told: { freed } };
    },
    simulate: (world) => ({ freed: model.sweep(world, dead) }),
  };
}

export function dispatchDue(): Operation {
  return {
    text: "dispatches",
    parcels: [],
    async run(lane, client) {
      const [counted] = await dispatch(client);
      const { rows } = await client.query<{ id: string }>(
        "select substring(key from 8) as id from graphile_worker.jobs where key like 'parcel:%' order by 1",
      );
      await client.query("select model.empty_queue()");
      return {
        told: {
          parcels: rows.map(({ id }) => lane.parcelIds.indexOf(id)),
          count: counted?.dispatched,
        },
      };
    },
    simulate(w) {
      const parcels = model.dispatch(w);
      return { parcels, count: parcels.length };
    },
  };
}

export function age(minutes: number): Operation {
  return {
    text: `${minutes} minutes pass`,
    parcels: [],
    async run(_, client) {
      await client.query("select model.age(make_interval(mins => $1), $2)", [
        minutes,
        Math.floor(minutes / model.DAY),
      ]);
      return { told: nothing };
    },
    simulate(w) {
      w.now += minutes;
      return nothing;
    },
  };
}

export function force(to: "open" | "closed" | "reset"): Operation {
  return {
    text: `a person forces it: ${to}`,
    parcels: [],
    async run(lane, client) {
      await forceCircuit(client, {
        apiCode: lane.apiCode,
        to,
        author: "ann",
        reason: "a test",
        holdFor: `${model.HOLD} minutes`,
      });
      return { told: nothing };
    },
    simulate(w) {
      model.force(w, to);
      return nothing;
    },
  };
}

/** The worker has beaten with credentials that nobody had before. */
export function renew(w: model.World, worker: number): Operation {
  const fingerprints = w.workers.map(({ fingerprint }) => fingerprint);
  const next = Math.max(...fingerprints, w.budget.refused ?? 0) + 1;
  fingerprints[worker] = next;
  return {
    text: `${name(worker)} gets new credentials`,
    parcels: [],
    async run(lane, client) {
      await client.query(
        "select bookpost_private.beat($1, 'test', 1, jsonb_build_object($2::text, $3::text))",
        [name(worker), lane.apiCode, String(next)],
      );
      await client.query("select model.revive($1)", [fingerprints]);
      return { told: nothing };
    },
    simulate(world) {
      model.beat(world, worker, next);
      return nothing;
    },
  };
}
