// The reference model: what migrations/README.md promises of one API's circuit, leases and budget, said once more
// and as simply as possible. Time is counted in whole minutes, so that the milliseconds a test takes decide nothing.

export const COOLDOWN = 10;
export const MAX_COOLDOWN = 35;
export const LEASE = 2;
export const HOLD = 5;
export const DAY = 24 * 60;

export interface Settings {
  readonly batchSize: number;
  readonly threshold: number;
  readonly callsPerDay: number | null;
  readonly callsPerParcel: number | null;
  readonly inFlight: number;
  /** So many of the parcels are live, the others are closed. */
  readonly live: number;
}

export interface Lease {
  readonly parcel: number;
  readonly lookup: string;
  readonly batch: string;
  readonly generation: number;
  readonly isProbe: boolean;
  readonly worker: number;
  readonly day: number;
  until: number;
  calls: number;
}

export interface World {
  readonly settings: Settings;
  now: number;
  circuit: {
    state: "closed" | "open" | "half_open";
    generation: number;
    failures: number;
    /** The failed lookups in a row, newest last; at most two of one request. */
    failed: { readonly lookup: string; readonly parcel: number; readonly batch: string }[];
    openUntil: number | null;
    cooldown: number | null;
    probe: string | null;
    probeUntil: number | null;
    forcedUntil: number | null;
  };
  budget: {
    day: number;
    calls: number;
    notBefore: number | null;
    isParked: boolean;
    /** The credentials that were refused last. */
    refused: number | null;
  };
  parcels: {
    isDue: boolean;
    dueAt: number;
    failures: number;
    day: number;
    calls: number;
    isKnown: boolean;
  }[];
  leases: Lease[];
  /** Lookups that have no lease any more. */
  ended: string[];
  workers: { fingerprint: number; stale: number }[];
}

export interface Report {
  readonly lookup: string;
  readonly outcome: string;
  readonly isApiWide: boolean;
  readonly retryMinutes: number | null;
  /** Requests that it tells of. */
  readonly calls: number;
}

/** What each outcome is to the circuit, and whether it lengthens the parcel's back-off. */
const OUTCOMES: Record<string, { effect: "success" | "failure" | "none"; backsOff: boolean }> = {
  found: { effect: "success", backsOff: false },
  not_found: { effect: "success", backsOff: false },
  unavailable: { effect: "failure", backsOff: true },
  malformed: { effect: "failure", backsOff: true },
  rate_limited: { effect: "none", backsOff: false },
  out_of_quota: { effect: "none", backsOff: false },
  rejected: { effect: "none", backsOff: true },
  local: { effect: "none", backsOff: true },
};

export function newWorld(settings: Settings, parcels: number, workers: number): World {
  return {
    settings,
    now: 0,
    circuit: {
      state: "closed",
      generation: 1,
      failures: 0,
      failed: [],
      openUntil: null,
      cooldown: null,
      probe: null,
      probeUntil: null,
      forcedUntil: null,
    },
    budget: { day: -1, calls: 0, notBefore: null, isParked: false, refused: null },
    parcels: Array.from({ length: parcels }, (_, i) => ({
      isDue: i < settings.live,
      dueAt: i,
      failures: 0,
      day: -1,
      calls: 0,
      isKnown: false,
    })),
    leases: [],
    ended: [],
    workers: Array.from({ length: workers }, (_, fingerprint) => ({ fingerprint, stale: 0 })),
  };
}

const today = (w: World) => Math.floor(w.now / DAY);
const isPast = (w: World, at: number | null) => at !== null && at <= w.now;
const leaseOf = (w: World, lookup: string) => w.leases.find((lease) => lease.lookup === lookup);
export const leaseOn = (w: World, parcel: number) =>
  w.leases.find((lease) => lease.parcel === parcel);
const spentToday = (w: World, counted: { day: number; calls: number }) =>
  counted.day === today(w) ? counted.calls : 0;
const isDayOver = (w: World) => spentToday(w, w.budget) >= (w.settings.callsPerDay ?? Infinity);
const isParcelDone = (w: World, parcel: number, more = 0) => {
  const check = w.parcels[parcel];
  if (!check || check.day !== today(w)) return false;
  return check.calls + more >= (w.settings.callsPerParcel ?? Infinity);
};

function count(w: World, counted: { day: number; calls: number }, calls: number): void {
  counted.calls = spentToday(w, counted) + calls;
  counted.day = today(w);
}

/** Why the API may not be asked now. */
export function hold({ circuit, budget, now }: World): string | null {
  if (budget.isParked) return "parked";
  if ((budget.notBefore ?? now) > now) return "not_before";
  if (circuit.state === "open" && (circuit.openUntil ?? now) > now) return "circuit_open";
  if (circuit.state === "half_open" && (circuit.probeUntil ?? now) > now)
    return "circuit_half_open";
  return null;
}

/** Every move raises the generation. */
function move(w: World, state: World["circuit"]["state"], more: Partial<World["circuit"]>): void {
  const { generation, openUntil, cooldown, failures, failed } = w.circuit;
  const kept =
    state === "closed"
      ? { failures: 0, failed: [], openUntil: null, cooldown: null }
      : { failures, failed, openUntil, cooldown };
  w.circuit = {
    ...kept,
    state,
    generation: generation + 1,
    probe: null,
    probeUntil: null,
    forcedUntil: null,
    ...more,
  };
}

function releaseProbe(w: World, lookup: string): void {
  if (w.circuit.probe === lookup) move(w, "open", { openUntil: w.now });
}

/** Later than all that is due already; what it really was is read afterwards. */
const NOW = 1e15;

/** Whose turn it is: what failed last is the worst of probes, what failed at all the next worst. */
function inTurn(w: World, parcels: readonly number[]): number[] {
  const isProbe = w.circuit.state !== "closed";
  const rank = (p: number) => [
    Number(isProbe && p === w.circuit.failed.at(-1)?.parcel),
    Number(isProbe && (w.parcels[p]?.failures ?? 0) > 0),
    w.parcels[p]?.dueAt ?? 0,
    p,
  ];
  return parcels.toSorted((a, b) => {
    const [x, y] = [rank(a), rank(b)];
    return x.map((value, i) => value - (y[i] ?? 0)).find((difference) => difference !== 0) ?? 0;
  });
}

/** Verdict by parcel. `ids` names what the database has granted: a model makes no identifiers. */
export function acquire(
  w: World,
  wanted: readonly number[],
  worker: number,
  ids: (parcel: number) => { lookup: string; batch: string } | undefined,
): Record<number, string> {
  const verdicts: Record<number, string> = {};
  const ready = wanted.filter((p) => {
    if (leaseOn(w, p)) verdicts[p] = "busy";
    else if (p >= w.settings.live) verdicts[p] = "closed";
    else if (!w.parcels[p]?.isDue) verdicts[p] = "not_due";
    return verdicts[p] === undefined;
  });
  const isClosed = w.circuit.state === "closed";
  const worst = isClosed ? undefined : w.circuit.failed.at(-1)?.parcel;
  const isRefused = w.budget.refused === w.workers[worker]?.fingerprint;
  let refusal = hold(w) ?? (isRefused ? "parked" : null);
  let room = 0;
  let batch = "";
  for (const p of inTurn(w, ready)) {
    const inFlight = new Set(w.leases.map((lease) => lease.batch)).size;
    if (room === 0 && inFlight >= w.settings.inFlight) refusal ??= "no_budget";
    const isBetterOneDue = w.parcels.some(
      (q, i) => i !== p && q.isDue && !leaseOn(w, i) && !isParcelDone(w, i),
    );
    if (refusal) verdicts[p] = refusal;
    else if (isParcelDone(w, p)) verdicts[p] = "no_budget";
    else if (p === worst && isBetterOneDue) verdicts[p] = "circuit_half_open";
    else if (room === 0 && isDayOver(w)) verdicts[p] = "no_budget";
    else {
      verdicts[p] = "permit";
      const granted = ids(p);
      const lookup = granted?.lookup ?? `missing ${p}`;
      const isFirst = room === 0;
      if (isFirst) {
        batch = granted?.batch ?? "";
        count(w, w.budget, 1);
      }
      room = isFirst ? w.settings.batchSize - 1 : room - 1;
      if (!isClosed) {
        move(w, "half_open", { probe: lookup, probeUntil: w.now + LEASE });
        refusal = "circuit_half_open";
      }
      w.leases.push({
        parcel: p,
        lookup,
        batch,
        generation: w.circuit.generation,
        isProbe: !isClosed,
        worker,
        day: today(w),
        until: w.now + LEASE,
        calls: Number(isFirst),
      });
    }
  }
  return verdicts;
}

function drop(w: World, lease: Lease): void {
  w.leases = w.leases.filter((other) => other !== lease);
  w.ended.push(lease.lookup);
}

function reportToCircuit(w: World, lease: Lease, effect: "success" | "failure" | "none"): void {
  const { circuit, settings } = w;
  if (lease.generation !== circuit.generation || circuit.forcedUntil !== null) return;
  const { lookup, parcel, batch } = lease;
  if (circuit.state === "half_open" && circuit.probe === lookup) {
    const cooldown = Math.min((circuit.cooldown ?? 0) * 2, MAX_COOLDOWN);
    if (effect === "success") move(w, "closed", {});
    else if (effect === "none") releaseProbe(w, lookup);
    else
      move(w, "open", {
        openUntil: w.now + cooldown,
        cooldown,
        failures: circuit.failures + 1,
        failed: [...circuit.failed, { lookup, parcel, batch }].slice(-20),
      });
  } else if (circuit.state === "closed" && effect === "success") {
    circuit.failures = 0;
    circuit.failed = [];
  } else if (circuit.state === "closed" && effect === "failure") {
    const ofRequest = circuit.failed.filter((failure) => failure.batch === batch).length;
    if (ofRequest === 0) circuit.failures++;
    if (ofRequest < 2) circuit.failed = [...circuit.failed, { lookup, parcel, batch }].slice(-20);
    const hit = new Set(circuit.failed.map((failure) => failure.parcel)).size;
    const isEnough = hit >= Math.min(2, settings.threshold) || settings.live < 2;
    if (circuit.failures >= settings.threshold && isEnough)
      move(w, "open", { openUntil: w.now + COOLDOWN, cooldown: COOLDOWN });
  }
}

/** Lookup → how it was written down; what is missing was stale. */
export function record(
  w: World,
  reports: readonly Report[],
  worker: number,
): Record<string, string> {
  const ends: Record<string, string> = {};
  const written: { lease: Lease; report: Report }[] = [];
  for (const report of reports) {
    const lease = leaseOf(w, report.lookup);
    if (lease) {
      drop(w, lease);
      written.push({ lease, report });
    }
  }
  const by = w.workers[worker];
  if (by) by.stale += reports.length - written.length;
  // What was paid for yesterday is not today's.
  const todays = written.filter(({ lease }) => lease.day === today(w));
  const extra = todays.reduce((sum, { lease, report }) => sum + report.calls - lease.calls, 0);
  if (w.budget.day === today(w)) w.budget.calls = Math.max(0, w.budget.calls + extra);
  for (const { lease, report } of written) {
    const { outcome, lookup, isApiWide } = report;
    const { effect = "none", backsOff = false } = OUTCOMES[outcome] ?? {};
    const check = w.parcels[lease.parcel];
    if (!check) continue;
    ends[lookup] = outcome !== "found" ? outcome : check.isKnown ? "unchanged" : "updated";
    check.isKnown ||= outcome === "found";
    if (effect === "success") check.failures = 0;
    else if (backsOff) check.failures++;
    if (w.settings.callsPerParcel !== null)
      count(w, check, outcome === "local" ? report.calls : Math.max(1, report.calls));
    const isAtOnce = isApiWide || outcome === "rate_limited" || outcome === "out_of_quota";
    check.isDue = isAtOnce && !isParcelDone(w, lease.parcel);
    if (outcome === "rate_limited" || outcome === "out_of_quota")
      w.budget.notBefore = Math.max(w.budget.notBefore ?? 0, w.now + (report.retryMinutes ?? 1));
    if (outcome === "rejected" && isApiWide) {
      w.budget.isParked = true;
      w.budget.refused = by?.fingerprint ?? null;
    }
  }
  for (const { lease, report } of written)
    reportToCircuit(w, lease, OUTCOMES[report.outcome]?.effect ?? "none");
  return ends;
}

/** How many permits were given back. */
export function release(w: World, lookups: readonly string[]): number {
  const leases = w.leases.filter(({ lookup }) => lookups.includes(lookup));
  for (const lease of leases) {
    drop(w, lease);
    if (w.settings.batchSize === 1 && w.budget.day === lease.day)
      w.budget.calls = Math.max(0, w.budget.calls - lease.calls);
    if (lease.isProbe) releaseProbe(w, lease.lookup);
  }
  return leases.length;
}

/** Why the request of a permit may not go out; null: it may. */
export function confirm(w: World, lookup: string): string | null {
  const lease = leaseOf(w, lookup);
  if (!lease) return "gone";
  const reason = hold(w);
  if (w.circuit.probe === lookup) return reason === "circuit_half_open" ? null : reason;
  return reason ?? (lease.generation === w.circuit.generation ? null : "circuit_open");
}

/** Why no further request is paid for; null: it is. */
export function pay(w: World, lookup: string, kind: string): string | null {
  const lease = leaseOf(w, lookup);
  const refusal = confirm(w, lookup);
  if (!lease || refusal !== null) return refusal;
  if (kind === "lookup" && isParcelDone(w, lease.parcel, 1)) return "no_budget";
  if (isDayOver(w)) return "no_budget";
  count(w, w.budget, 1);
  lease.calls++;
  // All that share the request wait for its end.
  for (const mate of w.leases)
    if (mate.batch === lease.batch) mate.until = Math.max(mate.until, w.now + LEASE);
  return null;
}

/** How many lookups were given up; `dead`: a worker that has just died. */
export function sweep(w: World, dead: number | null): number {
  const lost = w.leases.filter((lease) => isPast(w, lease.until) || lease.worker === dead);
  // Who comes in its place has counted nothing yet.
  const replaced = w.workers[dead ?? -1];
  if (replaced) replaced.stale = 0;
  for (const lease of lost) {
    const check = w.parcels[lease.parcel];
    if (!check) continue;
    drop(w, lease);
    count(w, check, 1);
    check.isDue = !isParcelDone(w, lease.parcel);
    // All of them at one moment, later than any other.
    check.dueAt = NOW;
    releaseProbe(w, lease.lookup);
  }
  const { circuit } = w;
  if (circuit.probe !== null && isPast(w, circuit.probeUntil) && !leaseOf(w, circuit.probe))
    releaseProbe(w, circuit.probe);
  else if (isPast(w, circuit.forcedUntil))
    move(
      w,
      circuit.state,
      circuit.state === "open" ? { openUntil: w.now, cooldown: COOLDOWN } : {},
    );
  return lost.length;
}

/** The parcels that get a job, where the queue was empty. */
export function dispatch(w: World): number[] {
  sweep(w, null);
  const due = w.parcels.flatMap(({ isDue }, p) =>
    isDue && !leaseOn(w, p) && !isParcelDone(w, p) ? [p] : [],
  );
  const isConfigured = w.workers.some(({ fingerprint }) => fingerprint !== w.budget.refused);
  if (hold(w) !== null || isDayOver(w) || !isConfigured) return [];
  if (w.circuit.state !== "closed") return inTurn(w, due).slice(0, 1);
  const left = (w.settings.callsPerDay ?? Infinity) - spentToday(w, w.budget);
  return inTurn(w, due)
    .slice(0, left * w.settings.batchSize)
    .toSorted((a, b) => a - b);
}

export function force(w: World, to: "open" | "closed" | "reset"): void {
  if (to === "reset") Object.assign(w.budget, { notBefore: null, isParked: false, refused: null });
  const until = w.now + HOLD;
  if (to === "open") move(w, "open", { openUntil: until, cooldown: HOLD, forcedUntil: until });
  else move(w, "closed", { forcedUntil: to === "closed" ? until : null });
}

/** A worker comes with new credentials. */
export function beat(w: World, worker: number, fingerprint: number): void {
  const by = w.workers[worker];
  if (by) by.fingerprint = fingerprint;
  if (fingerprint !== w.budget.refused) w.budget.isParked = false;
}
