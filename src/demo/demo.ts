import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, styleText } from "node:util";
import { createLogUpdate } from "log-update";
import { oneLine } from "../cli/oneLine.ts";
import { createPool } from "../db/pool.ts";
import type { Queryable } from "../db/withTransaction.ts";
import { UsageError } from "../errors.ts";
import { claimEmbeddedPostgres } from "../ops/claimEmbeddedPostgres.ts";
import { findEmbeddedPostgres, startEmbeddedPostgres } from "../ops/embeddedPostgres.ts";
import { migrate } from "../ops/migrate.ts";
import { EMBEDDED_ROOT } from "../ops/projectRoot.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { startSandbox } from "../sandbox/server.ts";
import { addUser } from "../sql/addUser.ts";
import { askThrough } from "../sql/askThrough.ts";
import { quickenIntervals } from "../sql/quickenIntervals.ts";
import { readChannels } from "../sql/readChannels.ts";
import { readCircuits } from "../sql/readCircuits.ts";
import { readDeliveries } from "../sql/readDeliveries.ts";
import { trackBook } from "../sql/trackBook.ts";
import { vouchForPhone } from "../sql/vouchForPhone.ts";
import { wakeDispatch } from "../sql/wakeDispatch.ts";
import { type WatchedBook, watchBooks } from "../sql/watchBooks.ts";
import type { Arrival } from "./arrival.ts";
import { COLLECTORS, TEXTED } from "./collectors.ts";
import { liveTable } from "./liveTable.ts";
import { startMailCatcher } from "./mailCatcher.ts";
import { DETOURS, OUTAGE, ROUTES, type Story, tellStories } from "./stories.ts";

/** The demo's own Postgres, beside the real one and made anew each time. */
const ROOT = join(EMBEDDED_ROOT, "demo");
/** Chosen: fast enough to look alive. */
const REFRESH_MS = 500;
const ARRIVED = new Set(["delivered", "return_to_sender"]);
/** Chosen: what is due later, such as a digest, nobody wants to wait for. */
const SOON_MS = 10_000;
/** Chosen: more than the demo makes. */
const ALL_MESSAGES = 10_000;

/**
 * `npm run demo`: the product as it is, with the sandbox for carriers and the
 * text message provider, a mail server that keeps all mail, and intervals of
 * seconds, until a dozen books have arrived and their owners know. Returns the
 * exit code.
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
      "Starting a Postgres of the demo's own, a sandbox for all carriers, a mail server that sends nothing on, the worker and the API …",
    );
    const claim = await claimEmbeddedPostgres(ROOT);
    closers.unshift(() => claim.release());
    await clearLeftovers();
    const postgres = await startEmbeddedPostgres(ROOT);
    closers.unshift(() => postgres.stop());
    const sandbox = await startSandbox();
    closers.unshift(() => sandbox.close());
    const inbox = openInbox(sandbox);
    const mail = await startMailCatcher(inbox.take);
    closers.unshift(() => mail.close());
    setEnvironment(postgres.url, sandbox, mail.url);
    await migrate({ databaseUrl: postgres.url, adminUrl: postgres.adminUrl });

    const pool = createPool(postgres.url, "cli");
    closers.unshift(() => pool.end());
    await quickenIntervals(pool);

    // Imported only now: workerPreset.ts reads the environment when it is loaded.
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
    await untilChannelsAreOpen(pool, stopping.signal);
    const owners = await addCollectors(pool);
    for (const [place, story] of stories.entries()) {
      sandbox.script(story.trackingNumber, story.scenario);
      await trackBook(pool, { ...story, owner: owners[place % owners.length] });
    }
    const hasArrived = await watch({
      pool,
      sandbox,
      inbox,
      stories,
      speed,
      signal: stopping.signal,
    });
    if (hasArrived) {
      say(styleText("green", "All books have arrived or are on their way back."));
      say(`Requests: ${countRequests(sandbox)}.`);
      say(`Messages: ${await countMessages(pool, inbox.arrivals())}.`);
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
function setEnvironment(databaseUrl: string, sandbox: Sandbox, smtpUrl: string): void {
  // Empty is unset, and `.env` leaves alone what is set.
  const others = {
    API_DATABASE_URL: "",
    JWT_SECRET: "",
    JWT_JWKS_URL: "",
    TRUSTED_DOCUMENTS: "any",
    PUBLIC_URL: "",
    HOST: "127.0.0.1",
  };
  const mail = { SMTP_URL: smtpUrl, MAIL_FROM: "Bookpost <bookpost@example.org>" };
  const texts = { SMS_COUNTRIES: "", ...sandbox.textEnvironment("twilio") };
  Object.assign(process.env, { DATABASE_URL: databaseUrl, ...others, ...mail, ...texts });
  process.env.PORT ??= "0";
  for (const api of sandbox.apis) {
    const prefix = api.toUpperCase();
    process.env[`${prefix}_BASE_URL`] = sandbox.url(api);
    for (const [suffix, text] of Object.entries(sandbox.credentials(api)))
      process.env[`${prefix}_${suffix}`] = text;
  }
}

/** Where the demo's messages arrive: emails as they come, texts as the sandbox took them. */
interface Inbox {
  take(arrival: Arrival): void;
  arrivals(): readonly Arrival[];
}

function openInbox(sandbox: Sandbox): Inbox {
  const arrivals: Arrival[] = [];
  let takenTexts = 0;
  return {
    take: (arrival) => void arrivals.push(arrival),
    arrivals() {
      for (const { to, body } of sandbox.texts.slice(takenTexts)) {
        const [headline = "", ...lines] = body.split("\n");
        arrivals.push({ channel: "text", to, headline, lines });
      }
      takenTexts = sandbox.texts.length;
      return arrivals;
    },
  };
}

/** Until the worker has said by what it can send, no message is queued. */
async function untilChannelsAreOpen(pool: Queryable, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const channels = await readChannels(pool);
    if (channels.some(({ channel, isConfigured }) => channel !== "webhook" && isConfigured)) return;
    await sleep(REFRESH_MS, undefined, { signal }).catch(() => {});
  }
}

/** Their ids, in the order in which books are dealt to them. */
async function addCollectors(pool: Queryable): Promise<string[]> {
  const ids: string[] = [];
  for (const collector of COLLECTORS) {
    const id = await addUser(pool, collector);
    if (collector.name === TEXTED.name) await vouchForPhone(pool, id, TEXTED.phoneNumber);
    ids.push(id);
  }
  return ids;
}

/** Shows the books and the messages until all have arrived (true) or someone stops it (false). */
async function watch(options: {
  readonly pool: Queryable;
  readonly sandbox: Sandbox;
  readonly inbox: Inbox;
  readonly stories: readonly Story[];
  readonly speed: number;
  readonly signal: AbortSignal;
}): Promise<boolean> {
  const { pool, sandbox, inbox, stories, speed, signal } = options;
  const isLive = process.stdout.isTTY === true;
  const screen = createLogUpdate(process.stdout);
  const told = new Map<string, string>();
  const startedAt = performance.now();
  let toldArrivals = 0;
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
    const isMailWaiting = await isMessageDueSoon(pool);
    const arrivals = inbox.arrivals();
    if (isLive) {
      const outage = isDown ? styleText("red", "UPS answers 503 at the moment.") : "";
      const lines = arrivals.map((arrival) => arrivalLine(arrival));
      const { columns = 100, rows = 40 } = process.stdout;
      // One line below it for the outage.
      screen(`${liveTable(books, circuits, lines, { columns, rows: rows - 1 })}\n${outage}`);
    } else {
      tellChanges(
        told,
        books.map((book) => [book.title, describe(book)]),
      );
      tellChanges(
        told,
        circuits.map((c) => [`circuit ${c.apiCode}`, c.state.replace("_", " ")]),
      );
      for (const arrival of arrivals.slice(toldArrivals)) {
        say(arrivalLine(arrival));
        for (const line of arrival.lines) say(`    ${oneLine(line)}`);
      }
      toldArrivals = arrivals.length;
    }
    const hasRecovered = circuits.every(({ state }) => state === "closed");
    if (
      hasRecovered &&
      !isMailWaiting &&
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

/** Whether a message is about to go out; what it finds is asked before the inbox is. */
async function isMessageDueSoon(pool: Queryable): Promise<boolean> {
  const channels = await readChannels(pool);
  return channels.some(
    ({ isConfigured, longestOverdueMs }) =>
      isConfigured && longestOverdueMs !== null && longestOverdueMs > -SOON_MS,
  );
}

/** "email to Ada: Your book 'Emma' is now: in transit" */
function arrivalLine({ channel, to, headline }: Arrival): string {
  const name =
    COLLECTORS.find(({ email }) => email === to)?.name ??
    (to === TEXTED.phoneNumber ? TEXTED.name : to);
  return oneLine(`${channel} to ${name}: ${headline}`);
}

/** What arrived, by the inbox; and what the rules hold back, by the database. */
async function countMessages(pool: Queryable, arrivals: readonly Arrival[]): Promise<string> {
  const count = (of: Arrival["channel"]) => arrivals.filter(({ channel }) => channel === of).length;
  const folded = await readDeliveries(pool, { state: "folded" }, ALL_MESSAGES);
  const held =
    folded.length === 0
      ? ""
      : `; ${folded.length} wait for a digest, since an hour brings one phone no more than three`;
  return `${count("email")} by email, ${count("text")} by text message${held}`;
}

/** What each carrier's API saw, by the sandbox's own log. */
function countRequests({ log, apis }: Sandbox): string {
  const byApi = Map.groupBy(
    log.filter(({ api }) => apis.includes(api)),
    ({ api }) => api,
  );
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
