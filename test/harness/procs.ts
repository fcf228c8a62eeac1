import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { until } from "../helpers/until.ts";
import { endLeftoverProcs, registerProc } from "./procRegistry.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The stock command starts as quickly with it as ours does without. */
const COMPILE_CACHE = process.env.NODE_COMPILE_CACHE
  ? { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE }
  : {};

/** How a process ended. */
export interface Ending {
  /** Null: a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Everything it had printed. */
  readonly output: string;
}

/** One of our programs, in a real process of its own. */
export interface Proc {
  readonly child: ChildProcess;
  readonly pid: number;
  /** What it has printed so far; of very much, the end. */
  output(): string;
  /** Waits until it has printed this; throws when it ends first. */
  says(words: string | RegExp): Promise<void>;
  /** Waits until `probe` answers something; throws, with its output, when the process ends first. */
  untilReady<T>(
    what: string,
    probe: () => Promise<T | null | undefined | false>,
    deadlineMs?: number,
  ): Promise<T>;
  /** Sends a signal; to one that has ended: nothing. */
  kill(signal: NodeJS.Signals): void;
  /** Stops it as it is, mid-statement, until `resume`. */
  pause(): void;
  resume(): void;
  /** Keeps once it has ended and all it printed is here; it is not made to. */
  readonly ended: Promise<Ending>;
  /** Asks it to stop (SIGTERM) and waits until it has. */
  stop(): Promise<Ending>;
  /** Ends it now if it still runs, paused or not, and waits until it is gone. */
  close(): Promise<Ending>;
}

export interface ProcOptions {
  /** All it finds in its environment, beside PATH. */
  readonly environment?: Readonly<Record<string, string>>;
  /** For Node itself, such as --max-old-space-size=64. */
  readonly nodeOptions?: readonly string[];
}

/** Characters of a process's output: its end. Chosen; a worker that lives through a soak prints hundreds of megabytes. */
const OUTPUT_KEPT = 16_000_000;

/**
 * Starts a program of ours, a path in the project and its arguments, with this
 * Node. When this process ends, so does that one; when this process is killed,
 * the next start of another ends it.
 */
export async function startProc(
  [program, ...args]: readonly [string, ...string[]],
  { environment = {}, nodeOptions = [] }: ProcOptions = {},
): Promise<Proc> {
  await endLeftoverProcs();
  const child = spawn(process.execPath, [...nodeOptions, join(ROOT, program), ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...COMPILE_CACHE, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      output += chunk;
      if (output.length > 2 * OUTPUT_KEPT) output = output.slice(-OUTPUT_KEPT);
    });
  const closing = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  await once(child, "spawn");
  const { pid = 0 } = child;
  const strikeOut = await registerProc(pid);

  const kill = (signal: NodeJS.Signals) => void child.kill(signal);
  const killNow = () => kill("SIGKILL");
  process.once("exit", killNow);
  const ended = closing.then(([code, signal]): Ending => {
    process.off("exit", killNow);
    strikeOut();
    return { code, signal, output };
  });
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const proc: Proc = {
    child,
    pid,
    output: () => output,
    says: (words) =>
      proc.untilReady(`it says ${words}`, async () => output.match(words)).then(() => {}),
    async untilReady(what, probe, deadlineMs) {
      try {
        return await until(
          what,
          async () => {
            const answer = await probe();
            if (!answer && hasEnded())
              throw new Error(
                `it ended first, with ${child.exitCode ?? child.signalCode}: ${what}`,
              );
            return answer;
          },
          deadlineMs,
        );
      } catch (error) {
        throw new Error(`${error instanceof Error ? error.message : error}\n${output}`, {
          cause: error,
        });
      }
    },
    kill,
    pause: () => kill("SIGSTOP"),
    resume: () => kill("SIGCONT"),
    ended,
    stop() {
      kill("SIGTERM");
      return ended;
    },
    close() {
      killNow();
      return ended;
    },
  };
  return proc;
}

/** Starts what `npm start -- --only api` starts, on a free port, and waits until it answers. */
export async function startApiProcess(
  databaseUrl: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Proc & { readonly graphqlUrl: string }> {
  const proc = await startProc(["src/bin/start.js", "--only", "api"], {
    environment: { DATABASE_URL: databaseUrl, PORT: "0", ...environment },
  });
  try {
    await proc.says("bookpost is running");
    await proc.says(/http:\S+\/graphql/);
  } catch (error) {
    await proc.close();
    throw error;
  }
  const [graphqlUrl = ""] = /http:\S+\/graphql/.exec(proc.output()) ?? [];
  return { ...proc, graphqlUrl };
}
