import { setTimeout as sleep } from "node:timers/promises";
import type { Sandbox } from "../../../src/sandbox/sandbox.ts";
import { startSandbox } from "../../../src/sandbox/server.ts";
import type { Verdict, WatchAction } from "../../harness/faultline.ts";
import { type Lane, openLane } from "../../harness/lane.ts";
import { type PgBox, startPgBox } from "../../harness/pgbox.ts";
import { type Chance, chanceFrom } from "../../helpers/chance.ts";
import { one } from "../../helpers/one.ts";
import type { TestDatabase } from "../../helpers/template.ts";
import { until } from "../../helpers/until.ts";
import { carrierEnvironment } from "../../helpers/workerProcess.ts";
import { judgeMessages } from "../judgeMessages.ts";
import { judgeWorld } from "../judgeWorld.ts";
import { type Answer, type Receivers, startReceivers } from "../receivers.ts";
import { startWorld, type WorldOptions } from "../world.ts";
import { MESSAGE_POINTS, POINTS } from "./points.ts";

const ROAD = { ...POINTS, ...MESSAGE_POINTS };

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
  /** Messages by email and webhook. */
  readonly messages: number;
  /** Of those, by what became of them. */
  readonly ends: Readonly<Record<string, number>>;
  /** Messages that receivers took more than once. */
  readonly arrivedTwice: number;
  readonly statusChanges: number;
  readonly offences: Readonly<Record<string, unknown[]>>;
}

/**
 * Lets workers track parcels and tell their owners, and strikes at so many points of the road, one
 * after the other, by a plan that the seed decides; then waits until all is
 * quiet and judges.
 */
export async function runKills(options: {
  readonly points: number;
  readonly seed: number;
  /** How busy the world is; left out: as startWorld has it. */
  readonly world?: Pick<WorldOptions, "live" | "perTick">;
  readonly onProgress?: (done: number) => void;
}): Promise<KillReport> {
  const { points, seed, onProgress = () => {} } = options;
  const chance = chanceFrom(seed);
  const box = await startPgBox();
  const sandbox = await startSandbox();
  const receivers = await startReceivers();
  const lanes: Lane[] = [];
  try {
    const db = await box.createMigratedDatabase();
    await makeRoom(db);
    const environment = { ...environmentOf(sandbox), ...receivers.environment };
    for (let i = 0; i < 2; i++) lanes.push(await openLane(db, environment));
    const owners = await reachEveryone(db, receivers);
    const world = await startWorld({
      ...options.world,
      db,
      sandbox,
      owners,
      chance: chanceFrom(seed + 1),
    });
    const struck: Record<string, number> = {};
    let realKills = 0;

    for (let i = 0; i < points; i++) {
      const { point, way } = plan(chance, i);
      const lane = chance.pick(lanes);
      await strike({ box, db, sandbox, receivers, lane, point, way, chance }).catch(
        async (error) => {
          throw new Error(
            `lane ${lanes.indexOf(lane)}: ${error.message}\n${await describe(db, lanes)}`,
            { cause: error },
          );
        },
      );
      struck[`${point}: ${way}`] = (struck[`${point}: ${way}`] ?? 0) + 1;
      if (way.endsWith("killed")) realKills += 1;
      onProgress(i + 1);
    }

    const letGoOn = await world.settle();
    await allTold(db);
    const offences = {
      ...(await judgeWorld(db, world.parcels)),
      ...(await judgeMessages(db, receivers)),
    };
    const { rows } = await db.pool.query(
      `select (select count(*)::integer from bookpost_private.lookups) as lookups,
         (select count(*)::integer from bookpost_private.lookups where outcome = 'interrupted') as interrupted,
         (select count(*)::integer from bookpost.notifications) as notifications,
         (select count(*)::integer from public.status_witness) as "statusChanges",
         (select count(*)::integer from bookpost_private.deliveries) as messages,
         (
           select coalesce(jsonb_object_agg(e.what, e.count), '{}') from (
             select channel || ' ' || state || coalesce(' ' || reason, '') || case when is_doubtful then ' doubtful' else '' end as what,
               count(*)
             from bookpost_private.deliveries group by 1
           ) e
         ) as ends`,
    );
    const taken = Map.groupBy(receivers.arrivals, ({ id }) => id);
    const arrivedTwice = [...taken.values()].filter(({ length }) => length > 1).length;
    const parcels = world.parcels.length;
    return { struck, realKills, parcels, letGoOn, arrivedTwice, ...rows[0], offences };
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()));
    await receivers.close();
    await sandbox.close();
    await box.close();
  }
}

/** Two people with an email address, and an endpoint for everyone's news. */
async function reachEveryone(
  { pool }: TestDatabase,
  receivers: Receivers,
): Promise<readonly [string, string]> {
  // Here a year of news passes in a minute. The caps of an hour would make nearly all of it one digest, and what is damped
  // or tried again would wait for longer than the test runs.
  await pool.query(
    `update bookpost_private.channels
     set cap_per_hour = null, damping = null, retry_delays = '{1 second}'`,
  );
  const { secret } = await one<{ secret: string }>(
    pool,
    "select secret from bookpost.add_webhook($1)",
    [receivers.url],
  );
  receivers.trust(secret);
  await until("a worker offers email", async () => {
    const sql = "select is_configured from bookpost_private.channels where channel = 'email'";
    return (await one<{ is_configured: boolean }>(pool, sql)).is_configured;
  });
  const add = async (email: string) => {
    const sql = "insert into bookpost.users (email) values ($1) returning id";
    return (await one<{ id: string }>(pool, sql, [email])).id;
  };
  return [await add("emma@example.org"), await add("jane@example.org")];
}

/**
 * Waits until every message has come to its end. They go one after the other in each queue, ten a second, so thousands take
 * their time; but one that is stuck gets a new job within two minutes.
 */
async function allTold({ pool }: TestDatabase): Promise<void> {
  const left = async () => {
    const sql =
      "select count(*)::integer as left from bookpost_private.deliveries where ended_at is null";
    return (await one<{ left: number }>(pool, sql)).left;
  };
  for (let waiting = await left(); waiting > 0; waiting = await left())
    await until(
      `another of ${waiting} messages has come to its end`,
      async () => (await left()) < waiting,
      240_000,
    );
}

/** Each point comes as often as each other; which way it goes wrong there is chance. */
function plan(chance: Chance, i: number): { point: string; way: Way } {
  const names = Object.keys(ROAD);
  const point = names[i % names.length] as string;
  for (;;) {
    const { way } = chance.pickWeighted(WAYS);
    const place = ROAD[point];
    // The carrier's link is not ours to cut; an answer that is on its way can only be cut off.
    const isPossible =
      place === "carrier"
        ? !way.startsWith("the link")
        : place === "receiver" ||
          way !== "the link is cut before the answer" ||
          place?.direction === "upstream";
    if (isPossible) return { point, way };
  }
}

async function strike(options: {
  readonly box: PgBox;
  readonly db: TestDatabase;
  readonly sandbox: Sandbox;
  readonly receivers: Receivers;
  readonly lane: Lane;
  readonly point: string;
  readonly way: Way;
  readonly chance: Chance;
}): Promise<void> {
  const { box, sandbox, receivers, lane, point, way, chance } = options;
  const place = ROAD[point];
  if (place === undefined) throw new Error(`there is no point "${point}"`);
  const purpose = typeof place === "string" ? "bookpost worker" : place.applicationName;
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
    const happened =
      place === "receiver"
        ? receivers.atNext(async () => ANSWERS[await act[way]()] ?? "take it")
        : lane.line.watch(place, act[way]).happened;
    await Promise.race([
      happened,
      sleep(30_000, null, { ref: false }).then(() => {
        throw new Error(`in 30 s nobody came to this point: ${point} (${way})`);
      }),
    ]);
  }
  if (way.startsWith("the server")) await box.start();
}

/** What a receiver makes of what a line does with bytes. */
const ANSWERS: Readonly<Partial<Record<Verdict, Answer>>> = {
  forward: "take it",
  cut: "lose it and hang up",
  forward_then_cut: "take it and hang up",
};

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
