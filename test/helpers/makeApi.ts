import type { Queryable } from "../../src/db/withTransaction.ts";
import { beat } from "../../src/sql/beat.ts";
import { uniqueName } from "./uniqueName.ts";

/** Columns of `bookpost.carrier_apis` that a test wants different from the defaults; `call_windows`: window → calls. */
export type ApiLimits = Readonly<
  Partial<
    Record<
      | "batch_size"
      | "calls_in_flight"
      | "calls_per_day"
      | "calls_per_parcel_per_day"
      | "day_time_zone"
      | "min_check_interval"
      | "failure_threshold"
      | "cooldown"
      | "max_cooldown"
      | "release_duration"
      | "lease_duration",
      string | number
    > & { readonly call_windows: Readonly<Record<string, number>> }
  >
>;

/**
 * A zone in which so many seconds of the day have passed now. A day's calls are
 * spent evenly, so what may be spent depends on the hour; tests choose it.
 */
export function zoneAt(secondOfDay: number, now = new Date()): string {
  const utc = now.getUTCHours() * 3600 + now.getUTCMinutes() * 60 + now.getUTCSeconds();
  const ahead = secondOfDay - utc;
  const [hours, minutes, seconds] = [3600, 60, 1].map((unit, i, units) =>
    String(Math.floor((Math.abs(ahead) % (units[i - 1] ?? 86_400)) / unit)).padStart(2, "0"),
  );
  // POSIX: what is added to local time to get UTC.
  return `<T>${ahead >= 0 ? "-" : "+"}${hours}:${minutes}:${seconds}`;
}

/** Late in the day nearly all of its calls may be spent at once, for tests of the count alone. */
export function lateInTheDay(): string {
  return zoneAt(23.5 * 3600);
}

/** An API of this test's own, the carrier of the same code, and the worker that can ask it. */
export interface TestApi {
  readonly code: string;
  readonly workerId: string;
}

/**
 * Makes an API with a carrier of the same code, so that tests that commit do
 * not see each other's circuits and budgets. A worker with credentials for it
 * has just beaten, unless `isConfigured` is false. With `calls_per_day` and no
 * zone, its day is nearly over; nothing is released gradually unless
 * `release_duration` is said. Commits, on a pool.
 */
export async function makeApi(
  db: Queryable,
  limits: ApiLimits = {},
  options: { readonly isConfigured?: boolean } = {},
): Promise<TestApi> {
  const api = { code: uniqueName("api"), workerId: uniqueName("worker") };
  const { call_windows = {}, ...given } = limits;
  const late = limits.calls_per_day === undefined ? {} : { day_time_zone: lateInTheDay() };
  const own = new Map<string, unknown>(
    Object.entries({
      code: api.code,
      name: "An API of a test",
      calls_in_flight: 1000,
      release_duration: "0",
      ...late,
      ...given,
    }),
  );
  await db.query(
    `insert into bookpost.carrier_apis (${[...own.keys()].join(", ")})
     values (${[...own.keys()].map((_, i) => `$${i + 1}`).join(", ")})`,
    [...own.values()],
  );
  await db.query("insert into bookpost.carriers (code, name, api_code) values ($1, $1, $1)", [
    api.code,
  ]);
  for (const [window, calls] of Object.entries(call_windows))
    await db.query(
      "insert into bookpost.carrier_limits (api_code, call_window, calls) values ($1, $2, $3)",
      [api.code, window, calls],
    );
  if (options.isConfigured !== false) await beatFor(db, api);
  return api;
}

/** The API's worker says that it is alive, with the credentials told by `fingerprint`. */
export async function beatFor(
  db: Queryable,
  api: TestApi,
  fingerprint = "first credentials",
): Promise<void> {
  await beat(db, {
    workerId: api.workerId,
    hostName: "test",
    processId: 1,
    apiFingerprints: { [api.code]: fingerprint },
  });
}
