import { spawnSync } from "node:child_process";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "../../src/ops/embedded/hasCode.ts";

/** Mounts a disk of so many megabytes on `folder`. @returns whether that worked. */
export function mountTinyDisk(folder: string, megabytes: number): boolean {
  const options = `size=${megabytes}m,mode=700`;
  return spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder]).status === 0;
}

/** Takes the disk away, also one that a dying process still holds. */
export function unmount(folder: string): void {
  spawnSync("umount", ["--lazy", folder]);
}

// In the data folder itself, where Postgres leaves alone what it does not know.
const ballast = (folder: string) => join(folder, "ballast");

/** Leaves no byte free on the disk that `folder` is on. */
export function fillDisk(folder: string): void {
  const file = openSync(ballast(folder), "a");
  try {
    // First in large pieces, then in pages, so that no page is left either.
    for (const size of [1 << 20, 1 << 12]) writeUntilFull(file, Buffer.alloc(size));
  } finally {
    closeSync(file);
  }
}

/** Gives back what `fillDisk` took. */
export function freeDisk(folder: string): void {
  rmSync(ballast(folder), { force: true });
}

function writeUntilFull(file: number, bytes: Buffer): void {
  try {
    while (writeSync(file, bytes) > 0);
  } catch (error) {
    if (!hasCode(error, "ENOSPC")) throw error;
  }
}
