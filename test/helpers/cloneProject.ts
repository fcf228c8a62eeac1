import { cpSync, mkdtempSync, realpathSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where this project lies. */
export const HERE = join(import.meta.dirname, "../..");
const CLONED = ["src", "migrations", "tasks", "crontab", "graphile.config.ts", "package.json"];

/**
 * A copy of the project in a temporary folder, with the packages of this one, so that what runs here is left alone.
 * @param more what else of it is to be there, such as its tests
 */
export function cloneProject(more: readonly string[] = []): string {
  const clone = realpathSync(mkdtempSync(join(tmpdir(), "bookpost-clone-")));
  for (const name of [...CLONED, ...more])
    cpSync(join(HERE, name), join(clone, name), { recursive: true });
  symlinkSync(join(HERE, "node_modules"), join(clone, "node_modules"));
  return clone;
}
