import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Pool } from "pg";
import { createPool } from "../../src/db/pool.ts";
import { startEmbeddedPostgres } from "../../src/ops/embeddedPostgres.ts";
import { migrate } from "../../src/ops/migrate.ts";
import { chanceFrom } from "../helpers/chance.ts";
import { type Life, livesFrom } from "./polling/lives.ts";
import {
  delaysOf,
  looksPerDay,
  mostInADay,
  NEWS,
  type Spread,
  shortestGap,
  spreadOf,
} from "./polling/measure.ts";
import { type Looks, watchByPolicy, watchHourly } from "./polling/watch.ts";

const HELP = `npm run bench -- polling [--parcels 10000] [--seed 1] [--json]

Simulated parcels (test/bench/polling/assumptions.ts), watched by the polling policy and by the old system's hourly
polling: calls for each parcel, and the time from an event to our knowing it.`;

interface Group {
  readonly name: string;
  readonly has: (life: Life) => boolean;
}

const GROUPS: readonly Group[] = [
  { name: "all", has: () => true },
  { name: "with estimate", has: ({ estimate }) => estimate !== null },
  { name: "without", has: ({ estimate }) => estimate === null },
  { name: "domestic", has: ({ isInternational }) => !isInternational },
  { name: "international", has: ({ isInternational }) => isInternational },
  {
    name: "that arrive",
    has: ({ fate }) => !["lost", "never_known", "cancelled", "returned"].includes(fate),
  },
  { name: "not DHL", has: ({ carrier }) => carrier.apiCode !== "dhl" },
];

/** Runs the simulation against an embedded Postgres of its own and prints what came out; `args` without the bench's name. */
export async function benchPolling(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      parcels: { type: "string", default: "10000" },
      seed: { type: "string", default: "1" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const parcels = Number(values.parcels);
  const seed = Number(values.seed);
  if (values.help || !Number.isInteger(parcels) || parcels < 1 || !Number.isInteger(seed)) {
    console.log(HELP);
    if (!values.help) process.exitCode = 2;
    return;
  }

  const root = await mkdtemp(join(tmpdir(), "bookpost-bench-"));
  const postgres = await startEmbeddedPostgres(join(root, ".postgres"), {
    onProgress: (sentence) => progress(sentence),
  });
  const pool = createPool(postgres.url, "worker");
  try {
    await migrate({ databaseUrl: postgres.url, adminUrl: postgres.adminUrl });
    const apis = await readRules(pool);
    const lives = livesFrom(parcels, seed);
    const hourly = watchHourly(lives);
    const run = await watchByPolicy(
      pool,
      lives,
      new Map(apis.map((api) => [api.code, api.minCheckInterval])),
      chanceFrom(seed + 1),
      (looks, live) => progress(`${looks} looks, ${live} parcels still under way`),
    );
    progress("");
    const result = {
      parcels,
      seed,
      groups: GROUPS.map((group) => compare(group, lives, run.looks, hourly)),
      carriers: apis.flatMap(({ code, minCheckInterval, callsPerParcelPerDay }) => {
        const mine = pick(lives, run.looks, ({ carrier }) => carrier.apiCode === code);
        if (mine.lives.length === 0) return [];
        return [
          {
            api: code,
            parcels: mine.lives.length,
            looksPerParcel: spreadOf(mine.looks.map(({ length }) => length)),
            looksPerDay: looksPerDay(mine.looks),
            mostInADay: mostInADay(mine.looks),
            shortestGap: shortestGap(mine.looks),
            minCheckInterval,
            callsPerParcelPerDay,
            hastened: run.hastened.get(code) ?? 0,
            delivered: spreadOf(delaysOf(mine.lives, mine.looks, "delivered")),
          },
        ];
      }),
      microsecondsPerCall: (run.seconds * 1e6) / run.calls,
    };
    if (values.json) console.log(JSON.stringify({ ...result, goals: goalsOf(result) }));
    else print(result);
  } finally {
    await pool.end();
    await postgres.stop();
    await rm(root, { recursive: true, force: true });
  }
}

interface Rules {
  readonly code: string;
  /** Seconds. */
  readonly minCheckInterval: number;
  readonly callsPerParcelPerDay: number | null;
}

async function readRules(pool: Pool): Promise<readonly Rules[]> {
  const { rows } = await pool.query<Rules>(
    `select a.code, extract(epoch from a.min_check_interval)::double precision as "minCheckInterval",
       a.calls_per_parcel_per_day as "callsPerParcelPerDay"
     from bookpost.carrier_apis a order by a.code`,
  );
  return rows;
}

/** What the policy is for, each with whether it was reached. */
function goalsOf({ groups, carriers }: Pick<Result, "groups" | "carriers">) {
  const all = groups.find(({ group }) => group === "all");
  const isNoWorse = (news: string) => {
    const delays = all?.delays.find((delay) => delay.news === news);
    return (delays?.policy.median ?? 0) <= (delays?.hourly.median ?? 0);
  };
  return [
    { goal: "at most a third of the calls", isReached: (all?.ratio ?? 1) <= 1 / 3 },
    {
      goal: "out_for_delivery: the median delay is no longer than with hourly polling",
      isReached: isNoWorse("out_for_delivery"),
    },
    {
      goal: "delivered: the median delay is no longer than with hourly polling",
      isReached: isNoWorse("delivered"),
    },
    {
      goal: "no parcel is asked about more often in a day than its carrier allows",
      isReached: carriers.every(
        (api) => api.mostInADay <= (api.callsPerParcelPerDay ?? Number.POSITIVE_INFINITY),
      ),
    },
  ];
}

function compare(group: Group, lives: readonly Life[], byPolicy: Looks, hourly: Looks) {
  const policy = pick(lives, byPolicy, group.has);
  const old = pick(lives, hourly, group.has);
  const calls = {
    policy: spreadOf(policy.looks.map(({ length }) => length)),
    hourly: spreadOf(old.looks.map(({ length }) => length)),
  };
  return {
    group: group.name,
    parcels: policy.lives.length,
    calls,
    ratio: (calls.policy.mean ?? 0) / (calls.hourly.mean ?? 1),
    delays: NEWS.map((news) => ({
      news,
      policy: spreadOf(delaysOf(policy.lives, policy.looks, news)),
      hourly: spreadOf(delaysOf(old.lives, old.looks, news)),
    })),
  };
}

function pick(lives: readonly Life[], looks: Looks, has: (life: Life) => boolean) {
  const places = lives.flatMap((life, i) => (has(life) ? [i] : []));
  return {
    lives: places.flatMap((i) => lives[i] ?? []),
    looks: places.map((i) => looks[i] ?? []),
  };
}

type Result = {
  readonly parcels: number;
  readonly seed: number;
  readonly groups: readonly ReturnType<typeof compare>[];
  readonly carriers: readonly {
    readonly api: string;
    readonly parcels: number;
    readonly looksPerParcel: Spread;
    readonly looksPerDay: number;
    readonly mostInADay: number;
    readonly shortestGap: number;
    readonly minCheckInterval: number;
    readonly callsPerParcelPerDay: number | null;
    readonly hastened: number;
    readonly delivered: Spread;
  }[];
  readonly microsecondsPerCall: number;
};

function print(result: Result): void {
  const { parcels, seed, groups, carriers, microsecondsPerCall } = result;
  console.log(
    `${parcels} simulated parcels, seed ${seed}: the policy against polling every hour\n`,
  );
  table(
    ["calls per parcel", "parcels", "policy mean", "p95", "hourly mean", "p95", "ratio"],
    groups.map(({ group, parcels: count, calls, ratio }) => [
      group,
      String(count),
      decimal(calls.policy.mean),
      decimal(calls.policy.p95),
      decimal(calls.hourly.mean),
      decimal(calls.hourly.p95),
      ratio.toFixed(3),
    ]),
  );
  table(
    ["minutes from event to knowledge", "events", "policy median", "p95", "hourly median", "p95"],
    groups.flatMap(({ group, delays }) =>
      delays.map(({ news, policy, hourly }) => [
        `${news}, ${group}`,
        String(policy.count),
        minutes(policy.median),
        minutes(policy.p95),
        minutes(hourly.median),
        minutes(hourly.p95),
      ]),
    ),
  );
  table(
    [
      "API",
      "parcels",
      "calls each",
      "a day",
      "most in a day",
      "allowed",
      "shortest wait",
      "allowed",
      "held back",
      "delivered known after",
    ],
    carriers.map((api) => [
      api.api,
      String(api.parcels),
      decimal(api.looksPerParcel.mean),
      decimal(api.looksPerDay),
      String(api.mostInADay),
      String(api.callsPerParcelPerDay ?? "-"),
      minutes(api.shortestGap),
      minutes(api.minCheckInterval),
      String(api.hastened),
      `${minutes(api.delivered.median)} / ${minutes(api.delivered.p95)}`,
    ]),
  );
  for (const { goal, isReached } of goalsOf(result))
    console.log(`${isReached ? "reached" : "MISSED "}  ${goal}`);
  console.log(
    `\nOne call of next_check_at: ${microsecondsPerCall.toFixed(1)} µs, the way to Postgres and back included.`,
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  for (const row of [head, ...rows])
    console.log(
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join("  "),
    );
  console.log();
}

function minutes(seconds: number | null): string {
  return seconds === null ? "-" : (seconds / 60).toFixed(0);
}

function decimal(value: number | null): string {
  return value === null ? "-" : value.toFixed(1);
}

/** To people only, and only where a line can be written over. */
function progress(sentence: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${sentence}`);
}

if (import.meta.main) await benchPolling(process.argv.slice(2));
