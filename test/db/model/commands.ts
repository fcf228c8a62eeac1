import fc from "fast-check";
import { type Lane, makeDue, PARCELS } from "./lane.ts";
import type { Operation, Outcome } from "./operations.ts";
import * as operations from "./operations.ts";
import { together } from "./together.ts";
import { DAY, type Report, type Settings, type World } from "./world.ts";

/** The model of one history, and what has happened in it, for the count of what was tried. */
export interface Told {
  world: World;
  readonly happened: Map<string, number>;
}

/** How a lookup ends. */
interface End {
  readonly outcome: string;
  readonly isApiWide: boolean;
  readonly isSent: boolean;
}

/** Which lookup is meant: the nth of those under way or of those that have ended, or one that never was. */
interface Which {
  readonly of: "held" | "ended" | "forged";
  readonly n: number;
}

type Deed =
  | {
      readonly do: "acquire";
      readonly parcels: readonly number[];
      readonly worker: number;
      readonly isDueFirst: boolean;
    }
  | {
      readonly do: "report";
      readonly reports: readonly (End & { readonly which: Which })[];
      readonly worker: number;
    }
  | { readonly do: "release"; readonly which: readonly Which[] }
  | { readonly do: "pay"; readonly which: Which; readonly kind: "lookup" | "token" };

type Action =
  | Deed
  | {
      readonly do: "lookUp";
      readonly parcels: readonly number[];
      readonly worker: number;
      readonly ends: readonly End[];
    }
  | { readonly do: "breakDown"; readonly minutes: number; readonly recovers: boolean }
  | { readonly do: "confirm" }
  | { readonly do: "sweep"; readonly dead: number | null }
  | { readonly do: "age"; readonly minutes: number }
  | { readonly do: "force"; readonly to: "open" | "closed" | "reset" }
  | { readonly do: "renew"; readonly worker: number }
  | { readonly do: "dispatch" }
  | { readonly do: "atOnce"; readonly deeds: readonly Deed[] };

const FORGED = "00000000-0000-4000-8000-000000000000";

function lookupOf(w: World, { of, n }: Which): string | undefined {
  if (of === "forged") return FORGED;
  const held = w.leases.toSorted((a, b) => a.parcel - b.parcel).map(({ lookup }) => lookup);
  const from = of === "held" ? held : w.ended;
  return from[n % from.length];
}

function reportOf(w: World, lookup: string, { outcome, isApiWide, isSent }: End): Report {
  const lease = w.leases.find((held) => held.lookup === lookup);
  // Every request is paid for before it goes out; a lookup that shares another's tells of none.
  const calls = isSent ? (lease?.calls ?? 1) : 0;
  return { lookup, outcome, isApiWide, calls, retryMinutes: outcome === "out_of_quota" ? 5 : null };
}

function operationOf(w: World, deed: Deed): Operation | undefined {
  const lookups = (which: readonly Which[]) => [
    ...new Set(which.flatMap((one) => lookupOf(w, one) ?? [])),
  ];
  switch (deed.do) {
    case "acquire":
      return operations.acquire(deed.parcels, deed.worker);
    case "report": {
      const ends = new Map(deed.reports.map((end) => [lookupOf(w, end.which), end]));
      ends.delete(undefined);
      const reports = [...ends].map(([lookup, end]) => reportOf(w, lookup ?? "", end));
      return reports.length > 0 ? operations.record(w, reports, deed.worker) : undefined;
    }
    case "release":
      return operations.release(w, lookups(deed.which));
    case "pay": {
      const [lookup] = lookups([deed.which]);
      return lookup === undefined ? undefined : operations.pay(lookup, deed.kind);
    }
  }
}

function singleOf(
  w: World,
  action: Exclude<Action, { do: "lookUp" | "breakDown" | "atOnce" }>,
): Operation | undefined {
  switch (action.do) {
    case "confirm":
      return operations.confirm([
        ...w.leases.map(({ lookup }) => lookup),
        ...w.ended.slice(-1),
        FORGED,
      ]);
    case "sweep":
      return operations.sweepUp(w, action.dead);
    case "age":
      return operations.age(action.minutes);
    case "force":
      return operations.force(action.to);
    case "renew":
      return operations.renew(w, action.worker);
    case "dispatch":
      return operations.dispatchDue();
    default:
      return operationOf(w, action);
  }
}

/** Which deeds may race, so that some order of them always explains the outcome. */
function racing(w: World, deeds: readonly Deed[]): readonly Deed[] {
  const hasOthers = deeds.some((deed) => deed.do !== "acquire");
  return deeds.filter(
    (deed) =>
      // What is in flight is counted without a lock on those who report.
      (deed.do !== "acquire" || !hasOthers || w.settings.inFlight >= PARCELS) &&
      // A probe that is given back makes way only if nobody has the circuit in hand; else sweep does it.
      (deed.do !== "release" || w.circuit.state !== "half_open"),
  );
}

const ALL = Array.from({ length: PARCELS }, (_, i) => i);
const DOWN: End = { outcome: "unavailable", isApiWide: false, isSent: true };

function isWell({ circuit }: World): boolean {
  return circuit.state === "closed" && circuit.forcedUntil === null;
}

/** One step of a history. */
class Step implements fc.AsyncCommand<Told, Lane> {
  readonly action: Action;
  readonly client: number;

  constructor(action: Action, client: number) {
    this.action = action;
    this.client = client;
  }

  check({ world }: Readonly<Told>): boolean {
    const { action } = this;
    if (action.do === "lookUp") return true;
    if (action.do === "breakDown") return isWell(world);
    if (action.do === "atOnce") return racing(world, action.deeds).length > 1;
    return singleOf(world, action) !== undefined;
  }

  async run(told: Told, lane: Lane): Promise<void> {
    const { action } = this;
    if (action.do === "lookUp") return this.#lookUp(told, lane, action);
    if (action.do === "breakDown") {
      // Everything fails until the circuit opens; where too little may be asked for that, it stays closed.
      const all = { parcels: ALL, worker: 0, ends: [{ ...DOWN }] };
      for (let i = 0; i < told.world.settings.threshold && isWell(told.world); i++)
        await this.#lookUp(told, lane, all);
      await this.#perform(told, lane, [operations.age(action.minutes)]);
      if (action.recovers)
        await this.#lookUp(told, lane, { ...all, ends: [{ ...DOWN, outcome: "not_found" }] });
      return;
    }
    const deeds = action.do === "atOnce" ? racing(told.world, action.deeds) : [action];
    for (const deed of deeds)
      if (deed.do === "acquire" && deed.isDueFirst) await this.#remind(told, lane, deed.parcels);
    await this.#perform(
      told,
      lane,
      deeds.flatMap((deed) => singleOf(told.world, deed) ?? []),
    );
  }

  async #lookUp(
    told: Told,
    lane: Lane,
    wanted: {
      readonly parcels: readonly number[];
      readonly worker: number;
      readonly ends: readonly End[];
    },
  ): Promise<void> {
    await this.#remind(told, lane, wanted.parcels);
    const asked = operations.acquire(wanted.parcels, wanted.worker);
    const [outcome] = await this.#perform(told, lane, [asked]);
    const reports = [...(outcome?.ids?.values() ?? [])].map(({ lookup }, i) =>
      reportOf(told.world, lookup, wanted.ends[i % wanted.ends.length] ?? DOWN),
    );
    if (reports.length > 0)
      await this.#perform(told, lane, [operations.record(told.world, reports, wanted.worker)]);
  }

  async #remind({ world }: Told, lane: Lane, parcels: readonly number[]): Promise<void> {
    const late = parcels.filter((p) => p < world.settings.live && !world.parcels[p]?.isDue);
    if (late.length > 0) await makeDue(lane, world, late);
  }

  async #perform(
    told: Told,
    lane: Lane,
    parallel: readonly Operation[],
  ): Promise<readonly Outcome[]> {
    const before = told.world.circuit;
    const { world, outcomes } = await together(lane, told.world, parallel, this.client);
    told.world = world;
    const note = (what: string) => told.happened.set(what, (told.happened.get(what) ?? 0) + 1);
    if (before.state !== world.circuit.state) note(`${before.state} → ${world.circuit.state}`);
    if (parallel.length > 1) note("at once");
    for (const outcome of outcomes)
      for (const word of Object.values(outcome.told)) if (typeof word === "string") note(word);
    return outcomes;
  }

  toString(): string {
    return `${JSON.stringify(this.action)} on ${this.client}`;
  }
}

const worker = fc.nat({ max: 1 });
const parcels = fc.subarray(ALL, { minLength: 1 });
const which: fc.Arbitrary<Which> = fc.record({
  of: fc.oneof(
    { weight: 12, arbitrary: fc.constant("held" as const) },
    { weight: 2, arbitrary: fc.constant("ended" as const) },
    { weight: 1, arbitrary: fc.constant("forged" as const) },
  ),
  n: fc.nat({ max: PARCELS - 1 }),
});
const endAs = (outcome: fc.Arbitrary<string>): fc.Arbitrary<End> =>
  fc
    .record({
      outcome,
      isApiWide: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
      isSent: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
    })
    .map((drawn) => ({ ...drawn, isApiWide: drawn.outcome === "rejected" && drawn.isApiWide }));
const endAsTold = endAs(fc.constantFrom("rate_limited", "out_of_quota"));
const end = endAs(
  fc.oneof(
    { weight: 10, arbitrary: fc.constantFrom("unavailable", "unavailable", "malformed") },
    { weight: 5, arbitrary: fc.constantFrom("found", "not_found") },
    {
      weight: 2,
      arbitrary: fc.constantFrom("rate_limited", "out_of_quota", "rejected", "local"),
    },
  ),
);

const acquire = fc.record({
  do: fc.constant("acquire" as const),
  parcels,
  worker,
  isDueFirst: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
});
const report = fc.record({
  do: fc.constant("report" as const),
  // Now and then the carrier tells everyone to slow down.
  reports: fc
    .oneof({ weight: 6, arbitrary: fc.constant(end) }, fc.constant(endAsTold))
    .chain((ending) =>
      fc.array(
        fc.tuple(which, ending).map(([one, drawn]) => ({ which: one, ...drawn })),
        { minLength: 1, maxLength: PARCELS },
      ),
    ),
  worker,
});
const release = fc.record({
  do: fc.constant("release" as const),
  which: fc.array(which, { minLength: 1, maxLength: 2 }),
});
const pay = fc.record({
  do: fc.constant("pay" as const),
  which,
  kind: fc.constantFrom("lookup" as const, "token" as const),
});
const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 4, arbitrary: acquire },
  { weight: 4, arbitrary: report },
  { weight: 1, arbitrary: release },
  { weight: 1, arbitrary: pay },
);
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("lookUp" as const),
      parcels,
      worker,
      ends: fc.array(end, { minLength: 1, maxLength: PARCELS }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("breakDown" as const),
      minutes: fc.constantFrom(0, 5, 10, 10, 35),
      recovers: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: acquire },
  { weight: 6, arbitrary: report },
  { weight: 2, arbitrary: release },
  { weight: 2, arbitrary: pay },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("confirm" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("sweep" as const),
      dead: fc.constantFrom(null, null, 0, 1),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant("age" as const),
      minutes: fc.constantFrom(1, 2, 5, 10, 20, 35, DAY),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("force" as const),
      to: fc.constantFrom("open" as const, "closed" as const, "reset" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("renew" as const), worker }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("dispatch" as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("atOnce" as const),
      // Mostly for the same thing: that is where races are.
      deeds: fc.oneof(
        fc.array(acquire, { minLength: 2, maxLength: 3 }),
        fc.array(report, { minLength: 2, maxLength: 3 }),
        fc.array(deed, { minLength: 2, maxLength: 3 }),
      ),
    }),
  },
);

/** Histories of up to 15 steps. `replayPath` comes from the report of a failed run. */
export function histories(
  replayPath?: string,
): fc.Arbitrary<Iterable<fc.AsyncCommand<Told, Lane>>> {
  return fc.commands(
    [fc.tuple(action, fc.nat({ max: 3 })).map(([drawn, client]) => new Step(drawn, client))],
    { maxCommands: 15, size: "max", ...(replayPath === undefined ? {} : { replayPath }) },
  );
}

/** Limits of the API that a history is about. */
export const settings: fc.Arbitrary<Settings> = fc.record({
  batchSize: fc.constantFrom(1, 1, 2, 3),
  threshold: fc.integer({ min: 1, max: 4 }),
  callsPerDay: fc.constantFrom(null, null, 3, 6, 12),
  callsPerParcel: fc.constantFrom(null, null, null, 2),
  inFlight: fc.constantFrom(1000, 1000, 2),
  live: fc.constantFrom(1, 2, 3, PARCELS, PARCELS, PARCELS),
});
