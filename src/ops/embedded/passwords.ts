import { randomBytes } from "node:crypto";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { BookpostError } from "../../errors.ts";
import { hasCode } from "./hasCode.ts";
import { wrongOwner } from "./wrongOwner.ts";

/** The logins of the embedded Postgres. */
export const LOGINS = ["postgres", "bookpost", "bookpost_authenticator"] as const;

export type Passwords = Readonly<Record<(typeof LOGINS)[number], string>>;

const passwordsFile = z.object({
  postgres: z.string(),
  bookpost: z.string(),
  bookpost_authenticator: z.string(),
});

// 192 random bits, in letters that need no escaping in a URL, in SQL or in pgpass.
const newPassword = () => randomBytes(24).toString("base64url");

/** The passwords kept in `home`; null where there are none yet. */
export async function readPasswords(home: string): Promise<Passwords | null> {
  const path = join(home, "passwords.json");
  try {
    return passwordsFile.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (hasCode(error, "ENOENT")) return null;
    if (hasCode(error, "EACCES")) throw await wrongOwner(home, (await stat(home)).uid);
    // NOTE: no cause. A JSON error quotes the text it stumbled over.
    throw new BookpostError(
      "PASSWORDS_UNREADABLE",
      `The embedded Postgres's passwords in ${path} cannot be understood: restore that file.`,
    );
  }
}

/** Makes passwords and keeps them, for the owner's eyes only. */
export async function createPasswords(home: string): Promise<Passwords> {
  const passwords = {
    postgres: newPassword(),
    bookpost: newPassword(),
    bookpost_authenticator: newPassword(),
  };
  await writePrivately(join(home, "passwords.json"), `${JSON.stringify(passwords, null, 2)}\n`);
  return passwords;
}

/** Writes `home`/pgpass, so that `PGPASSFILE=<home>/pgpass psql …` asks for no password. */
export async function writePgpass(home: string, port: number, passwords: Passwords): Promise<void> {
  const lines = LOGINS.map((login) => `127.0.0.1:${port}:*:${login}:${passwords[login]}\n`);
  await writePrivately(join(home, "pgpass"), lines.join(""));
}

/** Renamed into place: a kill in between leaves the old file or the new one, never half of one. */
async function writePrivately(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
