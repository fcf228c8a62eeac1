import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, styleText } from "node:util";
import { createLogUpdate } from "log-update";
import { createPool } from "../db/pool.ts";
import type { Queryable } from "../db/withTransaction.ts";
import { UsageError } from "../errors.ts";
import { claimEmbeddedPostgres } from "../ops/claimEmbeddedPostgres.ts";
import { findEmbeddedPostgres, startEmbeddedPostgres } from "../ops/embeddedPostgres.ts";
import { migrate } from "../ops/migrate.ts";
import { EMBEDDED_ROOT } from "../ops/projectRoot.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { startSandbox } from "../sandbox/server.ts";
import { askThrough } from "../sql/askThrough.ts";
import { quickenIntervals } from "../sql/quickenIntervals.ts";
import { readCircuits } from "../sql/readCircuits.ts";
import { trackBook } from "../sql/trackBook.ts";
import { wakeDispatch } from "../sql/wakeDispatch.ts";
import { type WatchedBook, watchBooks } from "../sql/watchBooks.ts";
import { liveTable } from "./liveTable.ts";
import { DETOURS, OUTAGE, ROUTES, type Story, tellStories } from "./stories.ts";

/** The demo's own Postgres, beside the real one and made anew each time. */
const ROOT = join(EMBEDDED_ROOT, "demo");
/** Chosen: fast enough to look alive. */
const REFRESH_MS = 500;
const ARRIVED = new Set(["delivered", "return_to_sender"]);

/**
 * `npm run demo`: the product as it is, with the sandbox for carriers and
 * intervals of seconds, until a dozen books have arrived. Returns the exit code.
 * @throws BookpostError, UsageError
 */
export async function demo(argv: readonly string[]): Promise<number> {
  const speed = readSpeed(argv);
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => stopping.abort());

  const closers: (() => Promise<unknown>)[] = [];
  try {
    say(
      "Starting a Postgres of the demo's own, a sandbox for all carriers, the worker and the API …",
    );
    const claim = await claimEmbeddedPostgres(ROOT);
    closers.unshift(() => claim.release());
    await clearLeftovers();
    const postgres = await startEmbeddedPostgres(ROOT);
    closers.unshift(() => postgres.stop());
    const sandbox = await startSandbox();
    closers.unshift(() => sandbox.close());
    setEnvironment(postgres.url, sandbox);
    await migrate({ databaseUrl: postgres.url, adminUrl: postgres.adminUrl });

    const pool = createPool(postgres.url, "cli");
    closers.unshift(() => pool.end());
    await quickenIntervals(pool);

    // Imported only now: graphile.config.ts reads the environment when it is loaded.
    const { startWorker } = await import("../ops/worker.ts");
    const { startApi } = await import("../graphql/server.ts");
    const { readConfig } = await import("../config.ts");
    const worker = await startWorker({ databaseUrl: postgres.url, isQuiet: true });
    closers.unshift(() => worker.stop());
    const api = await startApi({
      config: readConfig(),
      databaseUrl: postgres.url,
      apiDatabaseUrl: postgres.apiUrl,
    });
    closers.unshift(() => api.stop());

    for (const { carrier, api } of ROUTES) await askThrough(pool, carrier, api);
    const stories = tellStories(new Date(), speed);
    for (const story of stories) {
      sandbox.script(story.trackingNumber, story.scenario);
      await trackBook(pool, story);
    }
    const hasArrived = await watch({ pool, sandbox, stories, speed, signal: stopping.signal });
    if (hasArrived) {
      say(styleText("green", "All books have arrived or are on their way back."));
      say(`Requests: ${countRequests(sandbox)}.`);
      if (process.stdin.isTTY && process.stdout.isTTY) {
        say(`GraphQL answers at ${api.url}/graphql until Ctrl-C ends the demo.`);
        if (!stopping.signal.aborted) await once(stopping.signal, "abort");
      }
    }
    return hasArrived ? 0 : 130;
  } finally {
    for (const close of closers) await close().catch(() => {});
  }
}

/** A demo that was killed leaves its Postgres running and its books behind. */
async function clearLeftovers(): Promise<void> {
  if (await findEmbeddedPostgres(ROOT)) await (await startEmbeddedPostgres(ROOT)).stop();
  // Only the data: the lock that says that this demo is ours lies beside it.
  await rm(join(ROOT, "18"), { recursive: true, force: true });
}

function readSpeed(argv: readonly string[]): number {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { speed: { type: "string", default: "1" } },
    });
    const speed = Number(values.speed);
    if (speed >= 0.1 && speed <= 20) return speed;
    throw new Error(`--speed must be a number from 0.1 to 20; "${values.speed}" is not.`);
  } catch (error) {
    throw new UsageError("BAD_USAGE", (error as Error).message, { cause: error });
  }
}

/** The demo speaks to nothing but its own Postgres and sandbox, whatever `.env` says. */
function setEnvironment(databaseUrl: string, sandbox: Sandbox): void {
  // Empty is unset, and `.env` leaves alone what is set.
  const others = { API_DATABASE_URL: "", JWT_SECRET: "", SMTP_URL: "", HOST: "127.0.0.1" };
  Object.assign(process.env, { DATABASE_URL: databaseUrl, ...others });
  process.env.PORT ??= "0";
  for (const api of sandbox.apis) {
    const prefix = api.toUpperCase();
    process.env[`${prefix}_BASE_URL`] = sandbox.url(api);
    for (const [suffix, text] of Object.entries(sandbox.credentials(api)))
      process.env[`${prefix}_${suffix}`] = text;
  }
}

/** Shows the books until all have arrived (true) or someone stops it (false). */
async function watch(options: {
  readonly pool: Queryable;
  readonly sandbox: Sandbox;
  readonly stories: readonly Story[];
  readonly speed: number;
  readonly signal: AbortSignal;
}): Promise<boolean> {
  const { pool, sandbox, stories, speed, signal } = options;
  const isLive = process.stdout.isTTY === true;
  const screen = createLogUpdate(process.stdout);
  const told = new Map<string, string>();
  const startedAt = performance.now();
  let isDown = false;
  let isDetoured = false;

  while (!signal.aborted) {
    const second = ((performance.now() - startedAt) / 1000) * speed;
    const shouldBeDown = second >= OUTAGE.from && second < OUTAGE.until;
    if (shouldBeDown !== isDown) {
      isDown = shouldBeDown;
      if (isDown) sandbox.fault({ mode: "status", status: 503, api: "ups" });
      else sandbox.clearFaults();
      if (!isLive) say(isDown ? "UPS goes down (503)." : "UPS is back.");
    }
    if (second >= DETOURS.at && !isDetoured) {
      isDetoured = true;
      for (const { carrier, api } of DETOURS.routes) await askThrough(pool, carrier, api);
      if (!isLive)
        say(DETOURS.routes.map((r) => `${r.carrier} is asked through ${r.api}`).join(", "));
    }
    await wakeDispatch(pool);
    const books = await watchBooks(pool);
    const circuits = await readCircuits(pool);
    if (isLive) {
      const outage = isDown ? styleText("red", "UPS answers 503 at the moment.") : "";
      screen(`${liveTable(books, circuits, process.stdout.columns ?? 100)}\n${outage}`);
    } else {
      tellChanges(
        told,
        books.map((book) => [book.title, describe(book)]),
      );
      tellChanges(
        told,
        circuits.map((c) => [`circuit ${c.apiCode}`, c.state.replace("_", " ")]),
      );
    }
    const hasRecovered = circuits.every(({ state }) => state === "closed");
    if (
      hasRecovered &&
      books.length === stories.length &&
      books.every(({ status }) => ARRIVED.has(status))
    ) {
      screen.done();
      return true;
    }
    await sleep(REFRESH_MS, undefined, { signal }).catch(() => {});
  }
  screen.done();
  return false;
}

/** What each API saw, by the sandbox's own log. */
function countRequests({ log }: Sandbox): string {
  const byApi = Map.groupBy(log, ({ api }) => api);
  return [...byApi].map(([api, requests]) => `${api} ${requests.length}`).join(", ");
}

function describe({ status, location }: WatchedBook): string {
  return status.replaceAll("_", " ") + (location ? ` (${location})` : "");
}

function tellChanges(told: Map<string, string>, now: (readonly [string, string])[]): void {
  for (const [name, text] of now)
    if (told.get(name) !== text) {
      told.set(name, text);
      say(`${name}: ${text}`);
    }
}

function say(sentence: string): void {
  console.log(sentence);
}
