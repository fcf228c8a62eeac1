import { setTimeout as sleep } from "node:timers/promises";
import type { Sandbox } from "../../../src/sandbox/sandbox.ts";
import { startSandbox } from "../../../src/sandbox/server.ts";
import type { WatchAction } from "../../harness/faultline.ts";
import { type Lane, openLane } from "../../harness/lane.ts";
import { type PgBox, startPgBox } from "../../harness/pgbox.ts";
import { type Chance, chanceFrom } from "../../helpers/chance.ts";
import type { TestDatabase } from "../../helpers/template.ts";
import { until } from "../../helpers/until.ts";
import { carrierEnvironment } from "../../helpers/workerProcess.ts";
import { judgeWorld } from "../judgeWorld.ts";
import { startWorld } from "../world.ts";
import { POINTS } from "./points.ts";

/** What may happen at a point, and how often of a thousand. */
const WAYS = [
  { way: "the worker is killed", weight: 110 },
  { way: "the server is killed", weight: 25 },
  { way: "the server is stopped at once", weight: 25 },
  { way: "the session is terminated", weight: 240 },
  { way: "the link is cut before it arrives", weight: 300 },
  { way: "the link is cut before the answer", weight: 300 },
] as const;

type Way = (typeof WAYS)[number]["way"];

export interface KillReport {
  /** How often which way, at which point. */
  readonly struck: Readonly<Record<string, number>>;
  /** `kill -9` of a worker, or of a whole server. */
  readonly realKills: number;
  readonly parcels: number;
  /** Set aside for three deaths in a row, and let go on by hand. */
  readonly letGoOn: number;
  readonly lookups: number;
  readonly interrupted: number;
  readonly notifications: number;
  readonly statusChanges: number;
  readonly offences: Readonly<Record<string, unknown[]>>;
}

/**
 * Lets workers track parcels and strikes at so many points of the road, one
 * after the other, by a plan that the seed decides; then waits until all is
 * quiet and judges.
 */
export async function runKills(options: {
  readonly points: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}): Promise<KillReport> {
  const { points, seed, onProgress = () => {} } = options;
  const chance = chanceFrom(seed);
  const box = await startPgBox();
  const sandbox = await startSandbox();
  const lanes: Lane[] = [];
  try {
    const db = await box.createMigratedDatabase();
    await makeRoom(db);
    for (let i = 0; i < 2; i++) lanes.push(await openLane(db, environmentOf(sandbox)));
    const world = await startWorld({ db, sandbox, chance: chanceFrom(seed + 1) });
    const struck: Record<string, number> = {};
    let realKills = 0;

    for (let i = 0; i < points; i++) {
      const { point, way } = plan(chance, i);
      const lane = chance.pick(lanes);
      await strike({ box, db, sandbox, lane, point, way, chance }).catch(async (error) => {
        throw new Error(
          `lane ${lanes.indexOf(lane)}: ${error.message}\n${await describe(db, lanes)}`,
          { cause: error },
        );
      });
      struck[`${point}: ${way}`] = (struck[`${point}: ${way}`] ?? 0) + 1;
      if (way.endsWith("killed")) realKills += 1;
      onProgress(i + 1);
    }

    const letGoOn = await world.settle();
    const offences = await judgeWorld(db, world.parcels);
    const { rows } = await db.pool.query(
      `select (select count(*)::integer from bookpost_private.lookups) as lookups,
         (select count(*)::integer from bookpost_private.lookups where outcome = 'interrupted') as interrupted,
         (select count(*)::integer from bookpost.notifications) as notifications,
         (select count(*)::integer from public.status_witness) as "statusChanges"`,
    );
    return { struck, realKills, parcels: world.parcels.length, letGoOn, ...rows[0], offences };
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()));
    await sandbox.close();
    await box.close();
  }
}

/** Each point comes as often as each other; which way it goes wrong there is chance. */
function plan(chance: Chance, i: number): { point: string; way: Way } {
  const names = Object.keys(POINTS);
  const point = names[i % names.length] as string;
  for (;;) {
    const { way } = chance.pickWeighted(WAYS);
    // The carrier's link is not ours to cut; an answer that is on its way can only be cut off.
    const isPossible =
      POINTS[point] === "carrier"
        ? !way.startsWith("the link")
        : way !== "the link is cut before the answer" || POINTS[point]?.direction === "upstream";
    if (isPossible) return { point, way };
  }
}

async function strike(options: {
  readonly box: PgBox;
  readonly db: TestDatabase;
  readonly sandbox: Sandbox;
  readonly lane: Lane;
  readonly point: string;
  readonly way: Way;
  readonly chance: Chance;
}): Promise<void> {
  const { box, sandbox, lane, point, way, chance } = options;
  const place = POINTS[point];
  if (place === undefined) throw new Error(`there is no point "${point}"`);
  const purpose = place === "carrier" ? "bookpost worker" : place.applicationName;
  // Of a worker that dies in the middle of sending, the bytes may have gone out or not.
  const isForwarded = chance.happens(0.5);

  const act: Record<Way, () => Promise<Awaited<ReturnType<WatchAction>>>> = {
    "the worker is killed": async () => {
      lane.worker()?.child.kill("SIGKILL");
      return isForwarded ? "forward" : "cut";
    },
    "the server is killed": async () => {
      await box.stop("crash");
      return "cut";
    },
    "the server is stopped at once": async () => {
      await box.stop("immediate");
      return "cut";
    },
    "the session is terminated": async () => {
      await box.terminate(`application_name = '${purpose}'`);
      return "forward";
    },
    "the link is cut before it arrives": async () => "cut",
    "the link is cut before the answer": async () => "forward_then_cut",
  };

  if (place === "carrier") {
    const seen = sandbox.log.length;
    sandbox.fault({ mode: "slow", ms: 1_000, kind: "lookup", times: 1 });
    await until(`${point}: ${way}`, async () =>
      sandbox.log.slice(seen).some(({ fault }) => fault === "slow"),
    );
    await act[way]();
    sandbox.clearFaults();
  } else {
    const watch = lane.line.watch(place, act[way]);
    await Promise.race([
      watch.happened,
      sleep(30_000, null, { ref: false }).then(() => {
        throw new Error(`in 30 s nobody came to this point: ${point} (${way})`);
      }),
    ]);
  }
  if (way.startsWith("the server")) await box.start();
}

/** Only the two carriers that are asked here. */
export function environmentOf(sandbox: Sandbox): Record<string, string> {
  return Object.fromEntries(
    Object.entries(carrierEnvironment(sandbox)).filter(([name]) => /^(UPS|FEDEX)_/.test(name)),
  );
}

/** Carriers' patience is another test's subject: nothing here waits for a limit. */
export async function makeRoom({ pool }: TestDatabase): Promise<void> {
  await pool.query(
    `update bookpost.carrier_apis set calls_per_day = null, min_check_interval = '0', release_duration = '0'
     where code in ('ups', 'fedex')`,
  );
  await pool.query("delete from bookpost.carrier_limits where api_code in ('ups', 'fedex')");
}

/** For who reads a failure. */
async function describe({ pool }: TestDatabase, lanes: readonly Lane[]): Promise<string> {
  const ask = async (sql: string) => {
    const rows = await pool.query(sql).then((result) => result.rows, String);
    return JSON.stringify(rows, null, 1);
  };
  return [
    await ask(
      "select reason, until, count(*) from bookpost_ops.why group by 1, 2 order by 3 desc limit 10",
    ),
    await ask("select id, process_id, beat_at, clock_timestamp() from bookpost_private.workers"),
    await ask(
      "select task_identifier, key, run_at, attempts, locked_by, locked_at, last_error from graphile_worker.jobs order by id limit 10",
    ),
    ...lanes.map(
      ({ worker }, i) =>
        `lane ${i}: ${worker()?.child.pid ?? "no worker"}\n${(worker()?.output() ?? "")
          .match(/^(ERROR|WARN|INFO).*/gm)
          ?.slice(-25)
          .join("\n")}`,
    ),
  ].join("\n");
}
