import { mkdtemp, readdir, readFile, rename, rm, rmdir, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "./hasCode.ts";
import { processBirth } from "./processBirth.ts";

export interface FolderLock {
  /** Leaves word for whoever finds the lock taken. */
  note(words: string): Promise<void>;
  release(): Promise<void>;
}

/** The live process that has a lock, and the word it left; "" when it left none. */
export interface LockHolder {
  readonly pid: number;
  readonly words: string;
}

/**
 * Takes the lock at `path`, or says which live process has it. A lock whose
 * owner died is taken over.
 *
 * The lock is a folder holding one file, named after its owner's pid and
 * birth. It is prepared aside and renamed into place: a rename onto a folder
 * that is not empty fails, so there is one winner, and no lock without an
 * owner's name in it. Breaking a dead owner's lock removes that one file, by
 * name, so a slow second breaker cannot break the lock of whoever came first.
 */
export async function takeFolderLock(path: string): Promise<FolderLock | { heldBy: LockHolder }> {
  const owner = `${process.pid}-${await processBirth(process.pid)}`;
  for (;;) {
    const prepared = await mkdtemp(`${path}.`);
    await writeFile(join(prepared, owner), "", { mode: 0o600 });
    try {
      await rename(prepared, path);
      return {
        note: (words) => writeFile(join(path, owner), words),
        release: () => releaseFolderLock(path, owner),
      };
    } catch (error) {
      await rm(prepared, { recursive: true });
      if (!hasCode(error, "ENOTEMPTY", "EEXIST")) throw error;
    }
    const holder = await findHolder(path);
    if (holder !== null) return { heldBy: holder };
  }
}

/** Names of dead owners are removed on the way. */
async function findHolder(path: string): Promise<LockHolder | null> {
  const names = await readdir(path).catch(() => []);
  for (const name of names) {
    const file = join(path, name);
    const [pid = "", birth] = name.split("-");
    if ((await processBirth(Number(pid))) === birth)
      return { pid: Number(pid), words: await readFile(file, "utf8").catch(() => "") };
    await unlink(file).catch(ignoreAbsence);
  }
  return null;
}

async function releaseFolderLock(path: string, owner: string): Promise<void> {
  await unlink(join(path, owner)).catch(ignoreAbsence);
  // Not empty: the next owner is in already.
  await rmdir(path).catch((error) => {
    if (!hasCode(error, "ENOTEMPTY", "EEXIST", "ENOENT")) throw error;
  });
}

function ignoreAbsence(error: unknown): void {
  if (!hasCode(error, "ENOENT")) throw error;
}
