import { mkdir, realpath, stat } from "node:fs/promises";
import { BookpostError } from "../../errors.ts";
import { wrongOwner } from "./wrongOwner.ts";

/**
 * Makes the folder `root` where the embedded Postgres keeps everything, unless
 * it is there, and gives its real path.
 * @throws BookpostError NO_DATA_FOLDER or WRONG_OWNER.
 */
export async function openHome(root: string): Promise<string> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new BookpostError(
      "NO_DATA_FOLDER",
      `The embedded Postgres cannot have its data folder ${root}: make it writable for this user, or set DATABASE_URL to a Postgres of your own.`,
      { cause },
    );
  }
  const home = await realpath(root);
  const { uid } = await stat(home);
  if (uid !== process.getuid?.()) throw await wrongOwner(home, uid);
  return home;
}
