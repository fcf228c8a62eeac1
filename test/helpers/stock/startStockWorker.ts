import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { until } from "../until.ts";

export interface StockOptions {
  /** Settings of graphile-worker's, over its own defaults; `pollInterval` is 100 ms unless set. */
  readonly worker?: {
    readonly concurrency?: number;
    readonly crontab?: string;
    readonly completeJobBatchDelay?: number;
    readonly failJobBatchDelay?: number;
    readonly minResetLockedInterval?: number;
    readonly maxResetLockedInterval?: number;
  };
  /** Has a handler of unhandled rejections that only tells of them. */
  readonly isDeafToRejections?: boolean;
  /** Sends the event `tick` so often. */
  readonly tickMs?: number;
  /** How far its wall clock is ahead. */
  readonly clockShiftMs?: number;
}

/** What the process has told: an event of graphile-worker's by its name, or `holds`, `tick`, `unhandledRejection`. */
export interface StockEvent {
  readonly name: string;
  readonly jobId?: string;
  readonly error?: string;
  /** Of `cron:scheduled`: the slot, in milliseconds since 1970. */
  readonly timestamp?: number;
}

export interface StockWorker {
  readonly child: ChildProcess;
  /** All that it has told, in order. */
  readonly events: readonly StockEvent[];
  /** Waits until it has told of such an event, from the `since`th on, and gives that event. */
  untilTold(
    name: string,
    filter?: { readonly jobId?: string; readonly since?: number },
    deadlineMs?: number,
  ): Promise<StockEvent>;
  /** Lets the job that `hold` runs end: well, or with this error. */
  finish(jobId: string, error?: string): void;
  /** How it ended. Settles when it has. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  isAlive(): boolean;
  /** All that it has printed. */
  output(): string;
}

/** Starts a process that uses graphile-worker as published, and waits until it listens. It is killed when the test ends. */
export async function startStockWorker(
  url: string,
  options: StockOptions = {},
): Promise<StockWorker> {
  const { clockShiftMs = 0 } = options;
  const preload =
    clockShiftMs === 0 ? [] : ["--import", join(import.meta.dirname, "../shiftClock.ts")];
  const child = fork(join(import.meta.dirname, "program.ts"), [], {
    execArgv: preload,
    // A folder without a crontab: graphile-worker takes the one that it finds.
    cwd: import.meta.dirname,
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: url,
      STOCK_OPTIONS: JSON.stringify(options),
      CLOCK_SHIFT_MS: String(clockShiftMs),
    },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  const events: StockEvent[] = [];
  child.on("message", (event: StockEvent) => events.push(event));
  const ended = once(child, "exit").then(([code, signal]) => ({ code, signal }));
  const isAlive = () => child.exitCode === null && child.signalCode === null;
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });

  const untilTold: StockWorker["untilTold"] = async (
    name,
    { jobId, since = 0 } = {},
    deadlineMs = 20_000,
  ) => {
    const find = () =>
      events.slice(since).find((event) => event.name === name && (!jobId || event.jobId === jobId));
    try {
      return await until(`${name} ${jobId ?? ""}`, async () => find(), deadlineMs);
    } catch (error) {
      throw new Error(`the worker has not told of ${name}:\n${output}`, { cause: error });
    }
  };
  await untilTold("pool:listen:success");
  return {
    child,
    events,
    untilTold,
    // A process that is gone needs no telling.
    finish: (jobId, error) => void child.send({ finish: jobId, error }, () => {}),
    ended,
    isAlive,
    output: () => output,
  };
}
