import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import type { TestDatabase } from "./database.ts";
import { until } from "./until.ts";

const ROOT = join(import.meta.dirname, "../..");

/** A real worker: the stock command with our config, in a process of its own. */
export interface WorkerProcess {
  readonly child: ChildProcess;
  /** Everything it has printed. */
  output(): string;
  /** Asks it to stop and waits until it has. */
  stop(): Promise<void>;
}

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

/**
 * Starts `graphile-worker` and waits until the database sees it alive.
 * @param options.clockShiftMs how far its wall clock is ahead of ours; negative: behind
 */
export async function startWorkerProcess(
  db: Pick<TestDatabase, "url" | "pool">,
  environment: Record<string, string>,
  options: { readonly clockShiftMs?: number } = {},
): Promise<WorkerProcess> {
  const { clockShiftMs = 0 } = options;
  const preload =
    clockShiftMs === 0 ? [] : ["--import", join(import.meta.dirname, "shiftClock.ts")];
  const cli = join(ROOT, "node_modules/graphile-worker/dist/cli.js");
  const child = spawn(process.execPath, [...preload, cli], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      GRAPHILE_ENV: "test",
      NODE_ENV: "test",
      DATABASE_URL: db.url,
      CLOCK_SHIFT_MS: String(clockShiftMs),
      ...environment,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const exited = once(child, "exit");
  await until(`the worker is alive\n${output}`, async () => {
    if (child.exitCode !== null)
      throw new Error(`the worker ended with ${child.exitCode}:\n${output}`);
    const { rows } = await db.pool.query(
      "select from bookpost_private.workers where process_id = $1",
      [child.pid],
    );
    return rows.length > 0;
  });
  return {
    child,
    output: () => output,
    async stop() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}
