import { setTimeout as pause } from "node:timers/promises";
import { type Config, loadEnvFile, readConfig } from "../config.ts";
import { mapDatabaseError } from "../db/mapDatabaseError.ts";
import { BookpostError } from "../errors.ts";
import { claimEmbeddedPostgres } from "./claimEmbeddedPostgres.ts";
import type { FolderLock } from "./embedded/folderLock.ts";
import { hasCode } from "./embedded/hasCode.ts";
import { type EmbeddedServer, startEmbeddedPostgres } from "./embeddedPostgres.ts";
import { keepEmbeddedPostgres } from "./keepEmbeddedPostgres.ts";
import { migrate } from "./migrate.ts";
import { type Part, readParts } from "./parts.ts";
import { EMBEDDED_ROOT, PROJECT_ROOT } from "./projectRoot.ts";
import { whatRuns } from "./whatRuns.ts";

/** What runs so far, each with its way to stop. */
interface Started {
  claim?: FolderLock;
  postgres?: EmbeddedServer;
  /** Looks after Postgres; resolves soon after the stop has begun. */
  keeping?: Promise<void>;
  api?: { stop(): Promise<void> };
  worker?: { stop(): Promise<void> };
}

/** Chosen: API and worker allow themselves five seconds. With Postgres (a tenth of a second when quiet) the stop stays below ten. */
const PATIENCE_MS = 8_000;

/** npm passes a Ctrl-C on to a script that had it from the terminal already; measured: within a millisecond. */
const ECHO_MS = 250;

// Postgres's SQLSTATE for a connection that its shutdown ends (its manual, appendix A).
const ADMIN_SHUTDOWN = "57P01";

/**
 * Runs the product: Postgres (embedded unless DATABASE_URL is set), migrations,
 * API and worker, until a signal or until one of them ends by itself. Prints
 * what runs where, or one sentence about what is wrong.
 *
 * SIGINT, SIGTERM and SIGHUP stop it in order: API and worker first (jobs that
 * run are finished), Postgres last. A second signal ends the process at once.
 * @returns the exit code: 0 after a signal, 1 when something broke, 2 when the environment is wrong.
 */
export async function start(argv: readonly string[]): Promise<number> {
  const started: Started = {};
  const stopping = new AbortController();
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  const fail = (error: unknown) => {
    if (!stopping.signal.aborted) complain(error);
    end(error instanceof BookpostError ? error.exitCode : 1);
  };
  handleSignals(
    () => end(0),
    () => abandon(started),
  );
  let isPostgresLeaving = false;
  process.on("uncaughtException", (error) => {
    // graphile-worker, stopped right after its start, leaves a connection behind; our stop of Postgres ends it.
    if (isPostgresLeaving && hasCode(error, ADMIN_SHUTDOWN)) return;
    complain(error);
    abandon(started);
  });
  // Whoever read our output is gone; that is no reason to stop working.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

  const beginning = begin(readParts(argv), started, stopping.signal, fail).catch(fail);
  const exitCode = await ended;
  stopping.abort();
  // A step that is under way is awaited, so that nothing is started behind our back.
  const isQuiet = await within(
    PATIENCE_MS,
    beginning.then(() => stopServices(started)),
  );
  isPostgresLeaving = true;
  const isStopped = await stopPostgres(started);
  return isQuiet && isStopped ? exitCode : Math.max(exitCode, 1);
}

/** Starts one thing after the other, and none more once `signal` says so. `fail` hears of what breaks later. */
async function begin(
  parts: ReadonlySet<Part>,
  started: Started,
  signal: AbortSignal,
  fail: (error: unknown) => void,
): Promise<void> {
  loadEnvFile(PROJECT_ROOT);
  const config = readConfig();
  const postgres = await preparePostgres(config, started, signal, fail);
  signal.throwIfAborted();
  await migrate({ ...postgres, onProgress: tell });
  signal.throwIfAborted();
  // Each is loaded where it is to run. Before the worker: a port that is taken is found out before any carrier is asked.
  let graphqlUrl: string | null = null;
  if (parts.has("api")) {
    const { startApi } = await import("../graphql/server.ts");
    const api = await startApi({ config, ...postgres });
    started.api = api;
    graphqlUrl = `${api.url}/graphql`;
    signal.throwIfAborted();
  }
  if (parts.has("worker")) {
    // Only now: loading its configuration looks for the server that has just been started.
    const { startWorker } = await import("./worker.ts");
    const worker = await startWorker({ databaseUrl: postgres.databaseUrl });
    started.worker = worker;
    worker.finished.catch(fail);
    signal.throwIfAborted();
  }

  const embedded = started.postgres ?? null;
  await started.claim?.note(
    `${graphqlUrl ? `GraphQL at ${graphqlUrl}, ` : ""}Postgres at 127.0.0.1:${embedded?.port}`,
  );
  tell("\nbookpost is running; Ctrl-C stops it.\n");
  tell(await whatRuns({ config, parts, databaseUrl: postgres.databaseUrl, embedded, graphqlUrl }));
}

/** The app's own Postgres, or the embedded one, which is then ours alone and looked after. */
async function preparePostgres(
  config: Config,
  started: Started,
  signal: AbortSignal,
  fail: (error: unknown) => void,
) {
  if (config.databaseUrl !== null) return { databaseUrl: config.databaseUrl };
  started.claim = await claimEmbeddedPostgres(EMBEDDED_ROOT);
  const server = await startEmbeddedPostgres(EMBEDDED_ROOT, { onProgress: tell });
  started.postgres = server;
  started.keeping = keepEmbeddedPostgres({
    root: EMBEDDED_ROOT,
    server,
    signal,
    onProgress: tell,
    onReturn(returned) {
      started.postgres = returned;
    },
  }).catch(fail);
  return { databaseUrl: server.url, apiDatabaseUrl: server.apiUrl, adminUrl: server.adminUrl };
}

function handleSignals(stop: () => void, stopAtOnce: () => void): void {
  let first: { readonly name: string; readonly at: number } | undefined;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(name, () => {
      const now = performance.now();
      if (first === undefined) {
        first = { name, at: now };
        tell("Stopping: what runs is finished first. Once more ends it at once.");
        stop();
      } else if (name !== first.name || now - first.at > ECHO_MS) stopAtOnce();
    });
}

async function stopServices({ api, worker, keeping }: Started): Promise<void> {
  const ends = await Promise.allSettled([api?.stop(), worker?.stop(), keeping]);
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

async function stopPostgres({ postgres, claim }: Started): Promise<boolean> {
  try {
    await postgres?.stop();
    await claim?.release();
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

/** Ends this process now. Postgres outlives it by the moment that its own fast shutdown takes. */
function abandon({ postgres }: Started): never {
  try {
    if (postgres) process.kill(postgres.pid, "SIGINT");
  } catch {
    // It is gone already.
  }
  process.exit(1);
}

/** Whether `work` is done in time and without an error, which is told. */
async function within(ms: number, work: Promise<void>): Promise<boolean> {
  const tooLate = Symbol();
  try {
    const first = await Promise.race([work, pause(ms, tooLate, { ref: false })]);
    if (first === tooLate) tell("Not everything has finished in time; it is broken off.");
    return first !== tooLate;
  } catch (error) {
    complain(error);
    return false;
  }
}

function complain(error: unknown): void {
  const known = mapDatabaseError(error);
  // NOTE: never the error object itself, whose fields may quote a row.
  if (known instanceof BookpostError) console.error(known.message);
  else console.error(known instanceof Error ? known.stack : known);
}

function tell(sentence: string): void {
  console.log(sentence);
}
