import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { adapters } from "../../../src/carriers/registry.ts";

const BIN = join(import.meta.dirname, "../../../src/bin/bookpost.js");
const RUN_MANY = join(import.meta.dirname, "runMany.ts");

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Nothing of the machine's: a developer's .env fills in only what is not set, be it to nothing. */
const CLEAN: Readonly<Record<string, string | undefined>> = {
  PATH: process.env.PATH,
  DATABASE_URL: "",
  SMTP_URL: "",
  SMS_PROVIDER: "",
  ...Object.fromEntries(
    adapters.flatMap(({ code, credentials }) =>
      ["BASE_URL", ...Object.keys(credentials)].map((s) => [`${code.toUpperCase()}_${s}`, ""]),
    ),
  ),
};

type Environment = Readonly<Record<string, string>>;

/** Runs the real command line in a process of its own and waits for its end. */
export async function bookpostAlone(
  args: readonly string[],
  env: Environment = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { ...CLEAN, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await exited;
  return { code, stdout, stderr };
}

/** What a process that runs many is told. */
export interface Job {
  readonly id: number;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

const waiting = new Map<number, PromiseWithResolvers<Ended>>();
let runner: ChildProcess | undefined;
let jobs = 0;

/** Ends with us: it goes when its channel does. */
function startRunner(): ChildProcess {
  const child = fork(RUN_MANY, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  child.on("message", (message) => {
    const { id, ended } = message as { id: number; ended: Ended };
    waiting.get(id)?.resolve(ended);
  });
  child.once("exit", () => {
    runner = undefined;
    for (const { reject } of waiting.values())
      reject(new Error("a command line ended the process that it ran in"));
  });
  // It keeps nobody alive.
  child.unref();
  child.channel?.unref();
  return child;
}

/**
 * Runs a command line and waits for its end, in a process that has run others before: a start of Node costs more than
 * most commands. One after the other; `bookpostAlone` for what is about the process, or about two at once.
 */
export async function bookpost(args: readonly string[], env: Environment = {}): Promise<Ended> {
  runner ??= startRunner();
  const id = jobs++;
  const end = Promise.withResolvers<Ended>();
  waiting.set(id, end);
  runner.send({ id, args, env: { ...CLEAN, ...env } } satisfies Job);
  return end.promise.finally(() => waiting.delete(id));
}

/** Runs many command lines. */
export function bookpostEach(
  lines: readonly (readonly string[])[],
  env: Environment = {},
): Promise<Ended[]> {
  return Promise.all(lines.map((line) => bookpost(line, env)));
}
