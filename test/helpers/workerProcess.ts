import { join } from "node:path";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import { type Proc, startProc } from "../harness/procs.ts";
import type { TestDatabase } from "./database.ts";

/** A real worker in a process of its own. */
export type WorkerProcess = Proc;

/** The environment that points every carrier's API at a sandbox. */
export function carrierEnvironment(sandbox: Sandbox): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const api of sandbox.apis) {
    const prefix = api.toUpperCase();
    environment[`${prefix}_BASE_URL`] = sandbox.url(api);
    for (const [suffix, text] of Object.entries(sandbox.credentials(api)))
      environment[`${prefix}_${suffix}`] = text;
  }
  return environment;
}

/** Only ends a hang: several that start at once on a busy machine take their time. */
const START_MS = 60_000;

/** The commands that run a worker: graphile-worker's own with our config, and ours. */
export const WORKER_COMMANDS = {
  stock: ["node_modules/graphile-worker/dist/cli.js"],
  start: ["src/bin/start.js", "--only", "worker"],
} as const;

export interface WorkerOptions {
  /** How far its wall clock is ahead of ours; negative: behind. */
  readonly clockShiftMs?: number;
  /** Left out: the stock command. */
  readonly command?: keyof typeof WORKER_COMMANDS;
  /** For Node itself, such as --max-old-space-size=64. */
  readonly nodeOptions?: readonly string[];
}

/**
 * Starts a worker and waits until the database sees it alive.
 * @param db `url` is where the worker connects, perhaps through a faulty line; `pool` is how we look
 */
export async function startWorkerProcess(
  db: Pick<TestDatabase, "url" | "pool">,
  environment: Readonly<Record<string, string>>,
  { clockShiftMs = 0, command = "stock", nodeOptions = [] }: WorkerOptions = {},
): Promise<WorkerProcess> {
  const preload =
    clockShiftMs === 0 ? [] : ["--import", join(import.meta.dirname, "shiftClock.ts")];
  const proc = await startProc(WORKER_COMMANDS[command], {
    environment: {
      GRAPHILE_ENV: "test",
      NODE_ENV: "test",
      DATABASE_URL: db.url,
      CLOCK_SHIFT_MS: String(clockShiftMs),
      ...environment,
    },
    nodeOptions: [...nodeOptions, ...preload],
  });
  try {
    await proc.untilReady(
      "the worker is alive",
      async () => {
        const { rowCount } = await db.pool.query(
          "select from bookpost_private.workers where process_id = $1",
          [proc.pid],
        );
        return (rowCount ?? 0) > 0;
      },
      START_MS,
    );
  } catch (error) {
    await proc.close();
    throw error;
  }
  return proc;
}
