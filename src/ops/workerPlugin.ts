import type { CompiledSharedOptions, WorkerEvents, WorkerPool } from "graphile-worker";
import type pg from "pg";
import type { Config } from "../config.ts";
import { mapDatabaseError } from "../db/mapDatabaseError.ts";
import { createPool, isQueuePool } from "../db/pool.ts";
import { BookpostError } from "../errors.ts";
import { createDeliverer } from "../notifications/deliverer.ts";
import { openChannels } from "../notifications/registry.ts";
import { openRuntime } from "../tracking/runtime.ts";
import { guardCrontab } from "./clockGuard.ts";
import { compareSlots } from "./compareSlots.ts";
import { createDatabaseClock } from "./databaseClock.ts";
import { endProcessInOrder } from "./endProcessInOrder.ts";
import { fingerprint } from "./fingerprint.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { holdBack } from "./holdBack.ts";
import { followJobs } from "./jobsInHand.ts";
import { testWorker } from "./testWorker.ts";

/** How a worker pool that cannot go on says so; without a listener the process ends. */
export const LOST = "bookpost:lost";

/**
 * Gives every worker pool what it needs of ours, whoever starts it: `npm start`,
 * or the stock `graphile-worker` command. Connections with our discipline,
 * carriers, heartbeat and sweep, a guard against wrong clocks, a self-test
 * before the first job, and, where the process is the worker's own, exit codes
 * that tell the truth. All of it opens with the pool and closes when it has
 * drained.
 */
export function workerPlugin(config: Config): GraphileConfig.Plugin {
  const closers = new Map<string, () => Promise<void>>();
  return {
    name: "BookpostWorkerPlugin",
    version: "0.1.0",
    worker: {
      middleware: {
        init(next) {
          const compiled = next();
          const { events, logger } = compiled;
          usePoolOfOurs(compiled);
          const ending = isOwnProcess(compiled) ? endProcessInOrder(logger) : null;
          events.on("pool:create", ({ workerPool }) => {
            const { connectionString } = compiled.resolvedPreset.worker;
            if (connectionString === undefined) return;
            ending?.watch(workerPool);
            closers.set(
              workerPool.id,
              open({
                workerPool,
                queuePool: poolOfOurs(compiled),
                databaseUrl: connectionString,
                config,
                events,
                logger,
              }),
            );
          });
          return compiled;
        },
        async migrate(next, { ctx, client }) {
          try {
            await next();
            await testWorker(client, ctx.resolvedPreset.worker);
          } catch (caught) {
            const error = mapDatabaseError(caught);
            if (!isOwnProcess(ctx) || !(error instanceof BookpostError)) throw error;
            // The stock command would print a stack.
            ctx.logger.error(error.message);
            process.exit(1);
          }
        },
        async poolGracefulShutdown(next, { workerPool }) {
          try {
            return await next();
          } finally {
            await closers.get(workerPool.id)?.();
            closers.delete(workerPool.id);
          }
        },
      },
    },
  };
}

/** The stock command handles signals; a program that runs the worker inside handles them itself. */
function isOwnProcess(compiled: object): boolean {
  const { _rawOptions = {} } = compiled as { _rawOptions?: { noHandleSignals?: boolean } };
  return !_rawOptions.noHandleSignals;
}

/**
 * The queue's own pool would keep a connection that has stopped answering, and
 * can leave a client behind without an error listener.
 */
function usePoolOfOurs(compiled: CompiledSharedOptions): void {
  const options = compiled._rawOptions as { pgPool?: unknown; connectionString?: string };
  const { connectionString } = compiled.resolvedPreset.worker;
  if (options.pgPool || options.connectionString || connectionString === undefined) return;
  const pool = createPool(connectionString, "queue", {
    // Who has stopped working ends, though nobody closes this pool.
    allowExitOnIdle: true,
    onError: (error) => compiled.logger.error(`a connection was lost: ${error.message}`),
  });
  options.pgPool = pool;
  tellFirstRefusal(pool);
}

/** The first connection is refused for a reason that a person can put right; the stock command prints what it catches. */
function tellFirstRefusal(pool: pg.Pool): void {
  const { connect } = pool;
  pool.connect = ((...args: unknown[]) => {
    pool.connect = connect;
    const connecting: unknown = Reflect.apply(connect, pool, args);
    if (!(connecting instanceof Promise)) return connecting;
    return connecting.catch((error) => {
      throw mapDatabaseError(error);
    });
  }) as typeof pool.connect;
}

/** Null: an app's own pool, which is not ours to hold back. */
function poolOfOurs(compiled: CompiledSharedOptions): pg.Pool | null {
  const { pgPool } = compiled._rawOptions as { pgPool?: pg.Pool };
  return pgPool !== undefined && isQueuePool(pgPool) ? pgPool : null;
}

function open(options: {
  readonly workerPool: WorkerPool;
  readonly queuePool: pg.Pool | null;
  readonly databaseUrl: string;
  readonly config: Config;
  readonly events: WorkerEvents;
  readonly logger: CompiledSharedOptions["logger"];
}): () => Promise<void> {
  const { workerPool, queuePool, databaseUrl, config, events, logger } = options;
  const workerId = workerPool.id;
  const onError = (what: string, error: unknown) =>
    logger.error(`${what}: ${error instanceof Error ? error.message : error}`);
  const onWarning = (sentence: string) => logger.warn(sentence);
  const openPool = (purpose: "worker" | "housekeeping" | "heartbeat") =>
    createPool(databaseUrl, purpose, {
      onError: (error) => onError(`a connection of the ${purpose} pool was lost`, error),
    });
  const pool = openPool("worker");
  const housekeepingPool = openPool("housekeeping");
  const heartbeatPool = openPool("heartbeat");

  const configured = [...config.carriers.values()].filter(({ credentials }) => credentials);
  const clock = createDatabaseClock();
  const jobs = followJobs(events, workerPool);
  const unguard = guardCrontab(events, clock, onWarning);
  const channels = openChannels(config.notifications);
  const heartbeat = startHeartbeat({
    pool: heartbeatPool,
    sweepPool: housekeepingPool,
    workerId,
    apiFingerprints: Object.fromEntries(configured.map((c) => [c.code, fingerprint(c)])),
    channels: [...channels.keys()],
    clock,
    holdings: {
      jobIds: jobs.ids,
      isAtWork: jobs.isAtWork,
      lookupIds: () => runtime.tracker.lookupIds(),
    },
    onError,
    onLost(error) {
      if (tellLost(events, error)) return;
      onError("this worker ends", error);
      process.exit(1);
    },
  });
  // One who has not beaten yet takes no jobs: nobody would know whose they are, should it die. Who stops before its first
  // beat must not wait for it.
  const opening = Promise.race([heartbeat.ready, isStopping(events, workerPool)]);
  if (queuePool !== null) holdBack(queuePool, opening);
  const runtime = openRuntime({
    workerId,
    pool,
    housekeepingPool,
    deliverer: createDeliverer({ pool, workerId, channels }),
    carriers: config.carriers,
    ready: heartbeat.ready,
  });
  // The queue's runner may never tell of it.
  workerPool.promise.catch((error) => tellLost(events, error));
  const codes = configured.map(({ code }) => code);
  heartbeat.ready
    .then(() => compareSlots(pool, codes, config.concurrency))
    .then((warning) => warning !== null && onWarning(warning))
    // A database that does not answer is told of by the heartbeat.
    .catch(() => {});

  return async () => {
    unguard();
    jobs.stop();
    await heartbeat.stop();
    await runtime.close();
    await Promise.allSettled([...channels.values()].map((channel) => channel.close()));
    await Promise.allSettled([pool.end(), housekeepingPool.end(), heartbeatPool.end()]);
  };
}

/** Resolves when this pool begins to stop, by either way. */
function isStopping(events: WorkerEvents, workerPool: WorkerPool): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const name of ["pool:gracefulShutdown", "pool:forcefulShutdown"] as const)
    events.on(name, (event: { workerPool: WorkerPool }) => {
      if (event.workerPool === workerPool) resolve();
    });
  return promise;
}

/** Whether somebody was told. */
function tellLost(events: WorkerEvents, error: unknown): boolean {
  return (events as unknown as NodeJS.EventEmitter).emit(LOST, error);
}
