import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processBirth } from "../../src/ops/embedded/processBirth.ts";
import { signalTo } from "./processTree.ts";

// Who started which process, in files, so that what outlives a killed test process is found again: by pid and birth,
// never by name.

const FOLDER = join(tmpdir(), "bookpost-procs");

/** Writes down that this process has started `pid`. @returns how to strike it out again. */
export async function registerProc(pid: number): Promise<() => void> {
  const [ownBirth, birth] = await Promise.all([processBirth(process.pid), processBirth(pid)]);
  const file = join(FOLDER, [process.pid, ownBirth, pid, birth].join("-"));
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
  writeFileSync(file, "");
  return () => rmSync(file, { force: true });
}

/** Ends what test processes that are gone have left running. What a living one has started is left alone. */
export async function endLeftoverProcs(): Promise<void> {
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(FOLDER)) {
    const [owner, ownerBirth, pid, birth] = name.split("-");
    if ((await processBirth(Number(owner))) === ownerBirth) continue;
    if (birth && (await processBirth(Number(pid))) === birth) signalTo(Number(pid), "SIGKILL");
    rmSync(join(FOLDER, name), { force: true });
  }
}
