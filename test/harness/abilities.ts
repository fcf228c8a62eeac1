import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { platform, tmpdir } from "node:os";
import { join } from "node:path";
import { mountTinyDisk, unmount } from "./tinyDisk.ts";

// What this machine can do for the destructive tests, so that one that cannot run here is skipped by name:
// `test.skipIf(!canStandby())("…")`.

/** Postgres's own programs, all of one version, in one folder. */
export interface ServerTools {
  readonly initdb: string;
  readonly postgres: string;
  readonly pg_basebackup: string;
}

/** Debian and its relatives keep each major version in a folder of its own. */
const DEBIAN = "/usr/lib/postgresql";

/** The oldest major version that bookpost supports. */
const OLDEST = 15;

/** An installed Postgres that has pg_basebackup, the newest one; null where there is none. */
export function findServerTools(): ServerTools | null {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN) : [];
  const newestFirst = versions.filter((name) => Number(name) >= OLDEST).sort((a, b) => +b - +a);
  for (const version of newestFirst) {
    const tool = (name: string) => join(DEBIAN, version, "bin", name);
    const tools = {
      initdb: tool("initdb"),
      postgres: tool("postgres"),
      pg_basebackup: tool("pg_basebackup"),
    };
    if (Object.values(tools).every(isExecutable)) return tools;
  }
  return null;
}

/** Whether a box can have a standby: the embedded Postgres brings no pg_basebackup, so one must be installed. */
export function canStandby(): boolean {
  return findServerTools() !== null;
}

let isTinyDiskPossible: boolean | undefined;

/** Whether a box can have a disk of few megabytes: a tmpfs, which root may mount where it has the capability. Tried once. */
export function canTinyDisk(): boolean {
  isTinyDiskPossible ??= tryMount();
  return isTinyDiskPossible;
}

function tryMount(): boolean {
  if (platform() !== "linux" || process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), "bookpost-mount-"));
  const isMounted = mountTinyDisk(folder, 1);
  if (isMounted) unmount(folder);
  rmdirSync(folder);
  return isMounted;
}

/** Whether a Postgres can be shown another time of day: libfaketime's command is installed. */
export function canShiftClock(): boolean {
  return (process.env.PATH ?? "")
    .split(":")
    .some((folder) => isExecutable(join(folder, "faketime")));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
