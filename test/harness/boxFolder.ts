import { rmSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isPostmaster, readPostmaster } from "../../src/ops/embedded/postmaster.ts";
import { processBirth } from "../../src/ops/embedded/processBirth.ts";
import { killTree } from "./processTree.ts";
import { unmount } from "./tinyDisk.ts";

const PREFIX = "bookpost-box-";

/** The data folder in a box's folder. One name for all versions, since a box never outlives its test. */
export const dataDirectoryOf = (home: string) => join(home, "data");

/**
 * Makes the folder of a new box, named after this process; and clears away
 * what test processes that were killed have left: their servers, disks and
 * folders, each recognised by an owner that no longer lives.
 */
export async function makeBoxFolder(): Promise<string> {
  await clearLeftoverBoxes();
  return mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-${await processBirth(process.pid)}-`));
}

/** Ends the servers and removes the folders of boxes whose test process is gone. Boxes of living ones are left alone. */
export async function clearLeftoverBoxes(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = /^bookpost-box-(\d+)-(\w+)-/.exec(name);
    if (owner === null || (await processBirth(Number(owner[1]))) === owner[2]) continue;
    const home = join(tmpdir(), name);
    const postmaster = await readPostmaster(dataDirectoryOf(home)).catch(() => null);
    if (postmaster && (await isPostmaster(postmaster.pid, dataDirectoryOf(home))))
      killTree(postmaster.pid);
    unmount(dataDirectoryOf(home));
    // Another test process may be clearing the same one.
    await rm(home, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Removes a box's folder and the disk in it. For an exit handler too: it does not wait. */
export function removeBoxFolder(home: string, hasDisk: boolean): void {
  if (hasDisk) unmount(dataDirectoryOf(home));
  rmSync(home, { recursive: true, force: true, maxRetries: 3 });
}
