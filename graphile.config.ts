import "./src/ops/graphileEnvironment.ts";
import type {} from "graphile-worker";
import { loadEnvFile, readConfig } from "./src/config.ts";
import { apiPreset } from "./src/graphql/preset.ts";
import { findEmbeddedPostgres } from "./src/ops/embeddedPostgres.ts";
import { EMBEDDED_ROOT, PROJECT_ROOT } from "./src/ops/projectRoot.ts";
import { workerLogger } from "./src/ops/workerLogger.ts";
import { workerPlugin } from "./src/ops/workerPlugin.ts";

/** Read by `npm start`, by the stock `graphile-worker` command and by PostGraphile. */
loadEnvFile(PROJECT_ROOT);
const config = readConfig();
const databaseUrl = config.databaseUrl ?? (await findEmbeddedPostgres(EMBEDDED_ROOT))?.url;

const preset: GraphileConfig.Preset = {
  extends: [apiPreset],
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

export default preset;
