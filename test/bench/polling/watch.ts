import type { Pool } from "pg";
import type { Chance } from "../../helpers/chance.ts";
import { DAY, HOUR, type Life, type Scan } from "./lives.ts";

/** When each life was looked at, in order: seconds since 1970. */
export type Looks = readonly (readonly number[])[];

/** What the old system's loop stopped at. */
const OLD_ENDS = new Set(["delivered", "return_to_sender", "cancelled"]);

/**
 * The old system: every active book at every full hour, day and night, until the carrier says delivered, returned or
 * cancelled. Taken better than it was: it looks at once when tracking begins, is always answered, and its queue costs
 * no time.
 */
export function watchHourly(lives: readonly Life[]): Looks {
  return lives.map((life) => {
    const ends = life.scans
      .filter(({ status }) => OLD_ENDS.has(status))
      .map(({ shownAt }) => shownAt);
    const endsAt = Math.min(life.givenUpAt, ...ends);
    const looks = [life.trackedAt];
    let at = life.trackedAt;
    while (at < endsAt) {
      at = (Math.floor(at / HOUR) + 1) * HOUR;
      looks.push(at);
    }
    return looks;
  });
}

interface State {
  readonly life: Life;
  readonly looks: number[];
  nextAt: number;
  shown: number;
  newest: Scan | undefined;
  hasEstimate: boolean;
  lastChangedAt: number | null;
  unchanged: number;
}

export interface PolicyRun {
  readonly looks: Looks;
  /** API code → looks that the policy wanted sooner than the API's min_check_interval; they were made to wait. */
  readonly hastened: ReadonlyMap<string, number>;
  readonly calls: number;
  /** In Postgres and to it and back, all calls together. */
  readonly seconds: number;
}

/** All live parcels at once, each with its own time: one call for a look at every one of them. */
const NEXT = `
  select extract(epoch from bookpost_private.next_check_at(
    r.api_code, r.outcome, r.status, to_timestamp(r.looked_at), to_timestamp(r.changed_at), r.unchanged, 0,
    r.estimate, r.estimate + interval '23:59:59', make_interval(secs => r.utc_offset), r.jitter
  ))::double precision
  from unnest(
    $1::text[], $2::text[], $3::text[], $4::double precision[], $5::double precision[], $6::integer[],
    $7::timestamp[], $8::double precision[], $9::double precision[]
  ) with ordinality r (api_code, outcome, status, looked_at, changed_at, unchanged, estimate, utc_offset, jitter, place)
  order by r.place`;

/**
 * bookpost: `next_check_at` decides, the API's min_check_interval (seconds) holds it back, and the end is that of
 * close_finished_parcels. Every call is answered. Limits of calls are not applied, so that one sees whether the policy
 * keeps them by itself.
 */
export async function watchByPolicy(
  pool: Pool,
  lives: readonly Life[],
  minCheckIntervals: ReadonlyMap<string, number>,
  chance: Chance,
  onProgress: (looks: number, live: number) => void,
): Promise<PolicyRun> {
  const states = lives.map(
    (life): State => ({
      life,
      looks: [],
      nextAt: life.trackedAt,
      shown: 0,
      newest: undefined,
      hasEstimate: false,
      lastChangedAt: null,
      unchanged: 0,
    }),
  );
  const hastened = new Map<string, number>();
  let calls = 0;
  let seconds = 0;
  let live = states;
  while (live.length > 0) {
    const outcomes = live.map(look);
    const startedAt = performance.now();
    const { rows } = await pool.query<[number]>({
      text: NEXT,
      rowMode: "array",
      values: [
        arrayOf(live, ({ life }) => life.carrier.apiCode),
        arrayOf(outcomes, (outcome) => outcome),
        arrayOf(live, ({ newest }) => newest?.status ?? "pending"),
        arrayOf(live, ({ nextAt }) => nextAt),
        arrayOf(live, ({ lastChangedAt }) => lastChangedAt),
        arrayOf(live, ({ unchanged }) => unchanged),
        arrayOf(live, ({ life, hasEstimate }) => (hasEstimate ? life.estimate?.day : null)),
        arrayOf(live, ({ newest }) => newest?.utcOffset),
        arrayOf(live, () => chance.next()),
      ],
    });
    seconds += (performance.now() - startedAt) / 1000;
    calls += live.length;
    live.forEach((state, i) => {
      const { apiCode } = state.life.carrier;
      const wanted = rows[i]?.[0];
      if (wanted === undefined || wanted < state.nextAt) throw new Error(`no next look: ${wanted}`);
      const allowed = state.nextAt + (minCheckIntervals.get(apiCode) ?? 0);
      if (wanted < allowed) hastened.set(apiCode, (hastened.get(apiCode) ?? 0) + 1);
      state.nextAt = Math.max(wanted, allowed);
    });
    live = live.filter((state) => !hasEnded(state));
    onProgress(calls, live.length);
  }
  return { looks: states.map(({ looks }) => looks), hastened, calls, seconds };
}

/** An array as Postgres reads it; of words and numbers, which need no quotes. Several times faster than the driver's own. */
function arrayOf<Item>(
  items: readonly Item[],
  textOf: (item: Item) => string | number | null | undefined,
): string {
  return `{${items.map((item) => textOf(item) ?? "null").join()}}`;
}

/** One look at the carrier's answer as it is by then; its outcome. */
function look(state: State): string {
  const { life, nextAt } = state;
  state.looks.push(nextAt);
  let isNew = false;
  for (let scan = life.scans[state.shown]; scan && scan.shownAt <= nextAt; ) {
    if (!state.newest || scan.occurredAt >= state.newest.occurredAt) state.newest = scan;
    isNew = true;
    state.shown++;
    scan = life.scans[state.shown];
  }
  if (!state.hasEstimate && life.estimate && life.estimate.shownAt <= nextAt) {
    state.hasEstimate = true;
    isNew = true;
  }
  if (isNew) {
    state.lastChangedAt = nextAt;
    state.unchanged = 0;
    return "updated";
  }
  state.unchanged++;
  return state.newest ? "unchanged" : "not_found";
}

/** Whether the look just made closed the parcel. */
function hasEnded({ life, looks, newest }: State): boolean {
  const at = looks.at(-1) ?? life.trackedAt;
  if (newest?.status === "delivered") return newest.occurredAt < at - 7 * DAY;
  if (newest?.status === "cancelled") return true;
  if (life.returnedAt !== null && life.returnedAt <= at) return true;
  return at >= life.givenUpAt;
}
