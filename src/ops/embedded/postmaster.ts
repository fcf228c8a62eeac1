import { execFile } from "node:child_process";
import { readFile, stat, writeFile } from "node:fs/promises";
import { platform } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { BookpostError } from "../../errors.ts";
import { hasCode } from "./hasCode.ts";
import { pollUntil } from "./pollUntil.ts";
import { processBirth } from "./processBirth.ts";

export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  /** It has its port for itself. It may still be recovering. */
  readonly isListening: boolean;
}

const pidFile = (dataDirectory: string) => join(dataDirectory, "postmaster.pid");

/** What the data folder's postmaster.pid says, true or not; null where there is none. */
export async function readPostmaster(dataDirectory: string): Promise<Postmaster | null> {
  const text = await readFile(pidFile(dataDirectory), "utf8").catch(absentAsNull);
  if (text === null) return null;
  // Postgres's src/include/utils/pidfile.h: line 1 is the pid, 4 the port, 6 the address once it is bound.
  const lines = text.split("\n");
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  return pid > 0 && port > 0 ? { pid, port, isListening: Boolean(lines[5]) } : null;
}

/** Whether process `pid` runs and is the postmaster of `dataDirectory`, not a stranger with a reused pid. */
export async function isPostmaster(pid: number, dataDirectory: string): Promise<boolean> {
  if ((await processBirth(pid)) === null) return false;
  // A postmaster's working directory is its data folder, even after that was renamed.
  if (platform() === "linux") {
    const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
    return name === "postgres\n" && isSameFolder(`/proc/${pid}/cwd`, dataDirectory);
  }
  const command = await promisify(execFile)("ps", ["-o", "command=", "-p", String(pid)]).then(
    ({ stdout }) => stdout,
    () => "",
  );
  return command.includes(` -D ${dataDirectory} `);
}

/** Whether two paths lead to one folder; false where one cannot be looked at. */
export async function isSameFolder(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((path) => stat(path).catch(() => null)));
  return a != null && b != null && a.dev === b.dev && a.ino === b.ino;
}

/**
 * Makes a stale postmaster.pid harmless when its pid now belongs to a
 * stranger, for whose sake Postgres would refuse to start. It is not removed
 * but put down to our own pid: Postgres knows that its parent is no postmaster,
 * and still uses the rest of the file to see that no backend of the dead one
 * holds on to the data.
 */
export async function disownPidFile(dataDirectory: string): Promise<void> {
  const text = await readFile(pidFile(dataDirectory), "utf8").catch(absentAsNull);
  if (text === null) return;
  await writeFile(pidFile(dataDirectory), text.replace(/^\d*/, String(process.pid)));
}

/**
 * Stops the postmaster and waits until it is gone: fast shutdown, and an
 * immediate one (which costs a recovery at the next start, no data) where that
 * takes too long. One that is gone already is left alone.
 * @throws BookpostError POSTGRES_WONT_STOP after eight seconds.
 */
export async function stopPostmaster(pid: number, dataDirectory: string): Promise<void> {
  const birth = await processBirth(pid);
  if (birth === null || !(await isPostmaster(pid, dataDirectory))) return;
  const isGone = async () => ((await processBirth(pid)) === birth ? undefined : true);
  // Chosen: together below the ten seconds in which a stop has to be over; a fast shutdown measured 0.1 s when idle.
  for (const { signal, patienceMs } of [
    { signal: "SIGINT", patienceMs: 6000 },
    { signal: "SIGQUIT", patienceMs: 2000 },
  ] as const) {
    signalProcess(pid, signal);
    if (await pollUntil(isGone, { patienceMs })) return;
  }
  throw new BookpostError(
    "POSTGRES_WONT_STOP",
    `The embedded Postgres (process ${pid}) does not stop: see postgres.log beside ${dataDirectory}, then end that process.`,
  );
}

function absentAsNull(error: unknown): null {
  if (hasCode(error, "ENOENT")) return null;
  throw error;
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!hasCode(error, "ESRCH")) throw error;
  }
}
