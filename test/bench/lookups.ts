import { createCarrierClient } from "../../src/carriers/client.ts";
import { adapterFor } from "../../src/carriers/registry.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { Secret } from "../../src/secret.ts";
import { beat } from "../../src/sql/beat.ts";
import { dispatch } from "../../src/sql/dispatch.ts";
import { createTracker } from "../../src/tracking/tracker.ts";
import { ago } from "../helpers/ago.ts";
import { type BenchDatabase, openBenchDatabase } from "./openBenchDatabase.ts";
import { readOptions } from "./readOptions.ts";

/**
 * What the database costs a lookup, without the queue. Each rate is told with
 * its ratio to asking the carrier alone, in the same run.
 */
export async function benchLookups(args: readonly string[]): Promise<void> {
  const options = readOptions(
    {
      parcels: { default: 3_000, min: 1, max: 100_000 },
      concurrency: { default: 64, min: 1, max: 1_000 },
    },
    args,
  );
  const database = await openBenchDatabase();
  try {
    const rates = await measure(database, options);
    const [[, alone] = ["", 1]] = Object.entries(rates);
    if (options.json) return console.log(JSON.stringify({ bench: "lookups", ...options, rates }));
    for (const [what, rate] of Object.entries(rates))
      console.log(
        `${what.padEnd(66)} ${rate.toFixed(0).padStart(7)}/s  ratio ${(rate / alone).toFixed(2)}`,
      );
  } finally {
    await database.close();
  }
}

/** What was done → how often a second; the first is what the others are compared with. */
async function measure(
  { pool }: BenchDatabase,
  options: { readonly parcels: number; readonly concurrency: number },
): Promise<Record<string, number>> {
  const adapter = adapterFor("ups");
  if (!adapter) throw new Error("there is no adapter for ups");
  const sandbox = await startSandbox();
  const client = createCarrierClient(adapter, {
    baseUrl: sandbox.url("ups"),
    credentials: Object.fromEntries(
      Object.entries(sandbox.credentials("ups")).map(([name, text]) => [name, new Secret(text)]),
    ),
  });

  /** Dispatch sends nothing for an API that no living worker can ask. */
  const sayAlive = () =>
    beat(pool, {
      workerId: "bench",
      hostName: "bench",
      processId: 1,
      apiFingerprints: { ups: "bench" },
    });

  try {
    const numbers = Array.from(
      { length: options.parcels },
      (_, i) => `BENCH${String(i).padStart(9, "0")}`,
    );
    for (const number of numbers)
      sandbox.script(number, {
        steps: [
          { stage: "pre_transit", at: ago(60), city: "Bath", country: "GB" },
          { stage: "in_transit", at: ago(40), city: "Bath", country: "GB" },
          { stage: "in_transit", at: ago(20), city: "Leeds", country: "GB" },
          { stage: "out_for_delivery", at: ago(5), city: "York", country: "GB" },
        ],
        shown: 4,
      });
    await pool.query("update bookpost.carrier_apis set calls_in_flight = 1000000");
    await sayAlive();
    // A few hundred at a time: a worker's statement has 5 seconds.
    for (let from = 0; from < numbers.length; from += 500)
      await pool.query(
        "select bookpost.track_book('Book ' || n, 'ups', n) from unnest($1::text[]) n",
        [numbers.slice(from, from + 500)],
      );
    const { rows } = await pool.query<{ id: string }>("select id from bookpost.parcels");
    const ids = rows.map(({ id }) => id);
    const tracker = createTracker({ pool, workerId: "bench", clients: new Map([["ups", client]]) });
    const signal = new AbortController().signal;
    const perSecond = <T>(items: readonly T[], work: (item: T) => Promise<unknown>) =>
      rateOf(items, options.concurrency, work);

    await perSecond(numbers.slice(0, 500), (number) => client.lookUp(number));
    const alone = await perSecond(numbers, (number) => client.lookUp(number));
    const first = await perSecond(ids, (id) => tracker.lookUp(id, signal));
    await pool.query("update bookpost_private.checks set next_check_at = clock_timestamp()");
    const again = await perSecond(ids, (id) => tracker.lookUp(id, signal));
    await pool.query("update bookpost_private.checks set next_check_at = clock_timestamp()");
    await sayAlive();
    const startedAt = performance.now();
    const dispatched = (await dispatch(pool)).reduce((sum, api) => sum + api.dispatched, 0);
    return {
      "asking the carrier alone": alone,
      "first sight: acquire, call, record 4 scans, status, notification": first,
      "nothing new: acquire, call, record": again,
      dispatch: (dispatched * 1_000) / (performance.now() - startedAt),
    };
  } finally {
    await client.close();
    await sandbox.close();
  }
}

/** Runs `work` for all items, `concurrency` at a time; items per second. */
async function rateOf<T>(
  items: readonly T[],
  concurrency: number,
  work: (item: T) => Promise<unknown>,
): Promise<number> {
  const startedAt = performance.now();
  const queue = items.values();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const item of queue) await work(item);
    }),
  );
  return (items.length * 1_000) / (performance.now() - startedAt);
}
