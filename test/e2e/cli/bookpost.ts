import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { adapters } from "../../../src/carriers/registry.ts";

const BIN = join(import.meta.dirname, "../../../src/bin/bookpost.js");
const RUN_EACH = join(import.meta.dirname, "runEach.ts");

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

async function run(script: string, args: readonly string[], env: Environment): Promise<Ended> {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...CLEAN, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await exited;
  return { code, stdout, stderr };
}

/** Runs the real command line in a process of its own and waits for its end. */
export function bookpost(args: readonly string[], env: Environment = {}): Promise<Ended> {
  return run(BIN, args, env);
}

/** Runs many command lines one after the other in one process: a start of Node costs more than most commands. */
export async function bookpostEach(
  lines: readonly (readonly string[])[],
  env: Environment = {},
): Promise<Ended[]> {
  const { stdout, stderr } = await run(RUN_EACH, [], {
    ...env,
    BOOKPOST_LINES: JSON.stringify(lines),
  });
  if (stderr !== "") throw new Error(stderr);
  return JSON.parse(stdout);
}
