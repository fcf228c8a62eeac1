import { join } from "node:path";
import { BookpostError } from "../errors.ts";
import { type FolderLock, takeFolderLock } from "./embedded/folderLock.ts";
import { openHome } from "./embedded/openHome.ts";

/**
 * Makes this process the one that runs on the embedded Postgres under `root`,
 * and the only one that may stop it, until the claim is released or the
 * process ends in whatever way.
 * @throws BookpostError ALREADY_RUNNING, with the word (`note`) that the process which runs there left.
 */
export async function claimEmbeddedPostgres(root: string): Promise<FolderLock> {
  const taken = await takeFolderLock(join(await openHome(root), "running.lock"));
  if ("release" in taken) return taken;
  const { pid, words } = taken.heldBy;
  throw new BookpostError(
    "ALREADY_RUNNING",
    `bookpost runs here already (process ${pid}${words && `: ${words}`}): use that one, or stop it first with: kill ${pid}`,
  );
}
