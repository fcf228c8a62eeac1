import { statfsSync } from "node:fs";

const MEMORY_FOLDER = "/dev/shm";
/** Bytes. Chosen: a database takes 12 MB while its file runs, and the write-ahead log up to a gigabyte; what a run takes in all was not measured. */
const ENOUGH = 4 * 2 ** 30;

/**
 * The environment that puts temporary folders, and the databases in them, into memory where there is enough of it:
 * hundreds of databases are cloned and dropped, each some three hundred files. Not where TMPDIR says otherwise.
 */
export function temporaryFilesInMemory(): { readonly TMPDIR?: string } {
  if (process.env.TMPDIR !== undefined) return {};
  try {
    const { bavail, bsize } = statfsSync(MEMORY_FOLDER);
    return bavail * bsize >= ENOUGH ? { TMPDIR: MEMORY_FOLDER } : {};
  } catch {
    // No such folder on this system: the disk does.
    return {};
  }
}
