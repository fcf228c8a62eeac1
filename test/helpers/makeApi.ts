import type { Queryable } from "../../src/db/withTransaction.ts";
import { beat } from "../../src/sql/beat.ts";
import { uniqueName } from "./uniqueName.ts";

/** Columns of `bookpost.carrier_apis` that a test wants different from the defaults. */
export type ApiLimits = Readonly<
  Partial<
    Record<
      | "batch_size"
      | "calls_in_flight"
      | "calls_per_window"
      | "call_window"
      | "calls_per_day"
      | "day_time_zone"
      | "min_check_interval"
      | "failure_threshold"
      | "cooldown"
      | "max_cooldown"
      | "lease_duration",
      string | number
    >
  >
>;

/** An API of this test's own, the carrier of the same code, and the worker that can ask it. */
export interface TestApi {
  readonly code: string;
  readonly workerId: string;
}

/**
 * Makes an API with a carrier of the same code, so that tests that commit do
 * not see each other's circuits and budgets. A worker with credentials for it
 * has just beaten, unless `isConfigured` is false. Commits, on a pool.
 */
export async function makeApi(
  db: Queryable,
  limits: ApiLimits = {},
  options: { readonly isConfigured?: boolean } = {},
): Promise<TestApi> {
  const api = { code: uniqueName("api"), workerId: uniqueName("worker") };
  const columns = ["code", "name", "calls_in_flight", ...Object.keys(limits)];
  const values = [api.code, "An API of a test", 1000, ...Object.values(limits)];
  const own = new Map(columns.map((column, i) => [column, values[i]]));
  await db.query(
    `insert into bookpost.carrier_apis (${[...own.keys()].join(", ")})
     values (${[...own.keys()].map((_, i) => `$${i + 1}`).join(", ")})`,
    [...own.values()],
  );
  await db.query("insert into bookpost.carriers (code, name, api_code) values ($1, $1, $1)", [
    api.code,
  ]);
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
