import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createCarrierClient } from "../../src/carriers/client.ts";
import { adapterFor } from "../../src/carriers/registry.ts";
import { createPool } from "../../src/db/pool.ts";
import { startEmbeddedPostgres } from "../../src/ops/embeddedPostgres.ts";
import { migrate } from "../../src/ops/migrate.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { Secret } from "../../src/secret.ts";
import { beat } from "../../src/sql/beat.ts";
import { dispatch } from "../../src/sql/dispatch.ts";
import { createTracker } from "../../src/tracking/tracker.ts";

// `npm run bench -- [--parcels 3000] [--concurrency 64]`: what the database costs.
// Each figure is a ratio to asking the carrier alone, in the same run, because
// machines differ and are noisy.

const { values } = parseArgs({
  options: {
    parcels: { type: "string", default: "3000" },
    concurrency: { type: "string", default: "64" },
  },
});
const parcels = Number(values.parcels);
const concurrency = Number(values.concurrency);

const root = await mkdtemp(join(tmpdir(), "bookpost-bench-"));
const postgres = await startEmbeddedPostgres(join(root, ".postgres"));
const sandbox = await startSandbox();
const pool = createPool(postgres.url, "worker");
const adapter = adapterFor("ups");
if (!adapter) throw new Error("there is no adapter for ups");
const client = createCarrierClient(adapter, {
  baseUrl: sandbox.url("ups"),
  credentials: Object.fromEntries(
    Object.entries(sandbox.credentials("ups")).map(([name, text]) => [name, new Secret(text)]),
  ),
});

try {
  await migrate({ databaseUrl: postgres.url, adminUrl: postgres.adminUrl });
  const numbers = Array.from({ length: parcels }, (_, i) => `BENCH${String(i).padStart(9, "0")}`);
  for (const number of numbers)
    sandbox.script(number, {
      steps: [
        { stage: "pre_transit", at: "2026-11-18T08:00:00Z", city: "Bath", country: "GB" },
        { stage: "in_transit", at: "2026-11-19T08:00:00Z", city: "Bath", country: "GB" },
        { stage: "in_transit", at: "2026-11-20T08:00:00Z", city: "Leeds", country: "GB" },
        { stage: "out_for_delivery", at: "2026-11-21T08:00:00Z", city: "York", country: "GB" },
      ],
      shown: 4,
    });
  await pool.query("update bookpost.carrier_apis set calls_in_flight = 1000000");
  await sayAlive();
  await pool.query("select bookpost.track_book('Book ' || n, 'ups', n) from unnest($1::text[]) n", [
    numbers,
  ]);
  const { rows } = await pool.query<{ id: string }>("select id from bookpost.parcels");
  const ids = rows.map(({ id }) => id);
  const tracker = createTracker({ pool, workerId: "bench", clients: new Map([["ups", client]]) });
  const signal = new AbortController().signal;

  await perSecond(numbers.slice(0, 500), (number) => client.lookUp(number));
  const alone = await perSecond(numbers, (number) => client.lookUp(number));
  const first = await perSecond(ids, (id) => tracker.lookUp(id, signal));
  await pool.query("update bookpost_private.checks set next_check_at = clock_timestamp()");
  const again = await perSecond(ids, (id) => tracker.lookUp(id, signal));
  await pool.query("update bookpost_private.checks set next_check_at = clock_timestamp()");
  await sayAlive();
  const startedAt = performance.now();
  const dispatched = (await dispatch(pool)).reduce((sum, api) => sum + api.dispatched, 0);
  const dispatchRate = (dispatched * 1000) / (performance.now() - startedAt);

  const told = [
    ["asking the carrier alone", alone, 1],
    ["first sight: acquire, call, record 4 scans, status, notification", first, first / alone],
    ["nothing new: acquire, call, record", again, again / alone],
    ["dispatch", dispatchRate, dispatchRate / alone],
  ] as const;
  for (const [what, rate, ratio] of told)
    console.log(`${what.padEnd(66)} ${rate.toFixed(0).padStart(7)}/s  ratio ${ratio.toFixed(2)}`);
} finally {
  await client.close();
  await sandbox.close();
  await pool.end();
  await postgres.stop();
  await rm(root, { recursive: true, force: true });
}

/** Dispatch sends nothing for an API that no living worker can ask. */
async function sayAlive(): Promise<void> {
  await beat(pool, {
    workerId: "bench",
    hostName: "bench",
    processId: 1,
    apiFingerprints: { ups: "bench" },
  });
}

/** Runs `work` for all items, `concurrency` at a time; items per second. */
async function perSecond<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<number> {
  const startedAt = performance.now();
  const queue = items.values();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const item of queue) await work(item);
    }),
  );
  return (items.length * 1000) / (performance.now() - startedAt);
}
