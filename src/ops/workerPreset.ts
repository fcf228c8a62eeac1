import type {} from "graphile-worker";
import { loadEnvFile, readConfig } from "../config.ts";
import { findEmbeddedPostgres } from "./embeddedPostgres.ts";
import { EMBEDDED_ROOT, PROJECT_ROOT } from "./projectRoot.ts";
import { workerLogger } from "./workerLogger.ts";
import { workerPlugin } from "./workerPlugin.ts";

loadEnvFile(PROJECT_ROOT);
const config = readConfig();
const databaseUrl = config.databaseUrl ?? (await findEmbeddedPostgres(EMBEDDED_ROOT))?.url;

/** How our workers run, by whichever command. The environment, with .env, is read when this is loaded. */
export const workerPreset: GraphileConfig.Preset = {
  plugins: [workerPlugin(config)],
  worker: {
    ...(databaseUrl ? { connectionString: databaseUrl } : {}),
    taskDirectory: `${PROJECT_ROOT}/tasks`,
    crontabFile: `${PROJECT_ROOT}/crontab`,
    fileExtensions: [".ts", ".js"],
    concurrentJobs: config.concurrency,
    logger: workerLogger,
    // Measured: with either delay above 0 an ordinary stop can leave finished jobs locked.
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    // As many jobs in hand as can run: one fetch feeds all slots.
    localQueue: { size: config.concurrency },
    // The queue tells of jobs that are added, not of those whose time has come: until a poll finds them, calls in flight
    // that have ended stay unused. Seen with work enough for 150 lookups a second: 40 at 2 s (the default), 103 at 100 ms.
    pollInterval: 100,
    // Lookups get this long to finish when we stop; then they are broken off and recorded as local.
    gracefulShutdownAbortTimeout: 5_000,
  },
};
