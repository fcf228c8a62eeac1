import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startSandbox } from "../../../src/sandbox/server.ts";
import { type Lane, openLane } from "../../harness/lane.ts";
import { startPgBox } from "../../harness/pgbox.ts";
import { chanceFrom } from "../../helpers/chance.ts";
import { callsOverWindow } from "../../helpers/judgeCalls.ts";
import { carrierEnvironment } from "../../helpers/workerProcess.ts";
import { judgeWorld } from "../judgeWorld.ts";
import { startWorld } from "../world.ts";
import { SOAK_FAULTS } from "./faults.ts";
import { medianOf, type Sample, sample } from "./measure.ts";

// Hours in minutes: workers, carriers and books enough, and something goes wrong every few seconds.

const USAGE = "Usage: npm run test:soak -- [--minutes 30] [--seed 1] [--books 20000] [--workers 4]";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    books: { type: "string", default: "20000" },
    workers: { type: "string", default: "4" },
  },
});
const [minutes, seed, books, workers] = [
  values.minutes,
  values.seed,
  values.books,
  values.workers,
].map(Number) as [number, number, number, number];
if (![minutes, books, workers].every((n) => n > 0) || !Number.isInteger(seed)) {
  console.error(USAGE);
  process.exit(2);
}

const CARRIERS = ["ups", "usps", "fedex", "la_poste", "australia_post", "postnl"];

/** One carrier keeps a limit, which the log can hold us to. */
const LIMITED = { api: "usps", calls: 5, windowMs: 1_000 };

/** Chosen: a seldom look at memory and tables. */
const SAMPLE_MS = 15_000;

const startedAt = performance.now();
const tell = (sentence: string) =>
  console.log(
    `${String(Math.round((performance.now() - startedAt) / 1_000)).padStart(5)} s  ${sentence}`,
  );

tell(`${minutes} minutes, seed ${seed}, ${books} books, ${workers} workers`);
const chance = chanceFrom(seed);
const box = await startPgBox();
const sandbox = await startSandbox();
const lanes: Lane[] = [];
let isBroken = false;
try {
  const db = await box.createMigratedDatabase();
  await db.pool.query(
    `update bookpost.carrier_apis set calls_per_day = null, calls_per_parcel_per_day = null, min_check_interval = '0',
       release_duration = '30 seconds', cooldown = '10 seconds', max_cooldown = '30 seconds'
     where code = any ($1)`,
    [CARRIERS],
  );
  await db.pool.query("delete from bookpost.carrier_limits where api_code = any ($1)", [CARRIERS]);
  await db.pool.query(
    "insert into bookpost.carrier_limits (api_code, call_window, calls) values ($1, make_interval(secs => $2), $3)",
    [LIMITED.api, LIMITED.windowMs / 1_000, LIMITED.calls],
  );
  sandbox.limit({
    api: LIMITED.api,
    calls: LIMITED.calls,
    windowMs: LIMITED.windowMs,
  });
  const environment = Object.fromEntries(
    Object.entries(carrierEnvironment(sandbox)).filter(([name]) =>
      CARRIERS.some((code) => name.startsWith(`${code.toUpperCase()}_`)),
    ),
  );
  const world = await startWorld({
    db,
    sandbox,
    chance: chanceFrom(seed + 1),
    live: books,
    perTick: 12,
    carriers: CARRIERS,
    leaving: 0.05,
    onProgress: (parcels) => parcels % 5_000 === 0 && tell(`${parcels} books tracked`),
  });
  lanes.push(
    ...(await Promise.all(Array.from({ length: workers }, () => openLane(db, environment)))),
  );
  tell("all workers live");

  const samples: Sample[] = [];
  const struck: Record<string, number> = {};
  const end = performance.now() + minutes * 60_000;
  let nextSample = 0;
  while (performance.now() < end) {
    if (performance.now() > nextSample) {
      nextSample = performance.now() + SAMPLE_MS;
      const now = await sample(db, lanes).catch(() => null);
      if (now) samples.push(now);
    }
    const fault = chance.pickWeighted(SOAK_FAULTS);
    struck[fault.name] = (struck[fault.name] ?? 0) + 1;
    await fault.commit({ box, db, sandbox, lanes, carriers: CARRIERS, chance });
    await sleep(chance.between(1_000, 8_000));
    const count = Object.values(struck).reduce((sum, n) => sum + n, 0);
    if (count % 20 === 0)
      tell(
        `${count} faults, ${samples.at(-1)?.lookups} lookups, megabytes ${JSON.stringify(samples.at(-1)?.megabytes)}`,
      );
  }
  sandbox.clearFaults();
  tell("the last fault is over");
  const letGoOn = await world.settle();
  tell(`all is quiet (${letGoOn} let go on by hand)`);
  await sleep(60_000);

  for (const [name, count] of Object.entries(struck).sort()) console.log(`${count}\t${name}`);
  const offences = {
    ...(await judgeWorld(db, world.parcels)),
    [`more than ${LIMITED.calls} calls a second to ${LIMITED.api}`]: callsOverWindow(
      sandbox.log.filter(({ api }) => api === LIMITED.api),
      LIMITED,
    ),
    ...growth(samples),
  };
  for (const [what, offenders] of Object.entries(offences)) {
    console.log(`${offenders.length}\t${what}`);
    isBroken ||= offenders.length > 0;
    for (const offender of offenders.slice(0, 5)) console.log(`\t${JSON.stringify(offender)}`);
  }
  const { rows } = await db.pool.query(
    `select count(*)::integer as lookups, count(*) filter (where outcome = 'interrupted')::integer as interrupted,
       (select count(*)::integer from bookpost.notifications) as notifications,
       (select count(*)::integer from public.status_witness) as "statusChanges",
       (select count(*)::integer from bookpost_private.worker_deaths) as deaths,
       (select coalesce(sum(stale_results), 0)::integer from (
         select stale_results from bookpost_private.workers union all select stale_results from bookpost_private.worker_deaths
       ) s) as stale
     from bookpost_private.lookups`,
  );
  tell(`${world.parcels.length} parcels, ${JSON.stringify(rows[0])}`);
} finally {
  await Promise.all(lanes.map((lane) => lane.close()));
  await sandbox.close();
  await box.close();
}
process.exit(isBroken ? 1 : 0);

/** What has grown from the first third to the last. */
function growth(samples: readonly Sample[]): Record<string, unknown[]> {
  const third = Math.max(1, Math.floor(samples.length / 3));
  const [first, last] = [samples.slice(0, third), samples.slice(-third)];
  const kinds: Record<string, { of: (sample: Sample) => number; atMost: number }> = {
    // Chosen: noise of garbage collection and of vacuum's turns lies below.
    "workers' memory has grown": { of: ({ workerMegabytes }) => workerMegabytes, atMost: 1.5 },
    "hot tables have grown": { of: ({ hotMegabytes }) => hotMegabytes, atMost: 2 },
    "dead rows pile up": { of: ({ deadRows }) => deadRows, atMost: 3 },
  };
  return Object.fromEntries(
    Object.entries(kinds).map(([what, { of, atMost }]) => {
      const [before, after] = [medianOf(first, of), medianOf(last, of)];
      console.log(`\t${what}? ${before.toFixed(1)} → ${after.toFixed(1)}`);
      return [what, after > Math.max(1, before) * atMost ? [{ before, after }] : []];
    }),
  );
}
