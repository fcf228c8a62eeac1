import { type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";

/** As whom Postgres's programs run: behind `prefix`, and as another user where `uid` is given. */
export interface Runner {
  readonly prefix: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Only what Postgres needs. The environment would hand it PGDATA, PGOPTIONS or
 * a locale that is not installed, and put our carriers' credentials within
 * reach of any SQL that can read files.
 */
const ENVIRONMENT = { PATH: process.env.PATH, TZ: process.env.TZ, LC_ALL: "C" };

/** Starts one of Postgres's programs as `runner` says. */
export function spawnAs(
  runner: Runner,
  program: string,
  args: readonly string[],
  options: SpawnOptions,
) {
  const [command = program, ...rest] = [...runner.prefix, program, ...args];
  return spawn(command, rest, {
    env: ENVIRONMENT,
    uid: runner.uid,
    gid: runner.gid,
    ...options,
  });
}

/** Runs a program to its end and gives its exit code (null: it could not be started, or a signal ended it) and what it said. */
export async function runAs(
  runner: Runner,
  program: string,
  args: readonly string[],
): Promise<{ code: number | null; output: string }> {
  let output = "";
  try {
    // Detached, so that a Ctrl-C meant for us does not end it half-way: whoever started it decides.
    const child = spawnAs(runner, program, args, {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (chunk: Buffer) => {
        output += chunk;
      });
    const [code] = (await once(child, "close")) as [number | null];
    return { code, output };
  } catch (error) {
    return { code: null, output: error instanceof Error ? error.message : String(error) };
  }
}
