import { randomBytes } from "node:crypto";
import { chown, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { BookpostError } from "../../errors.ts";
import type { Binaries } from "./binaries.ts";
import { type Runner, runAs } from "./runAs.ts";

const aside = (dataDirectory: string) => `${dataDirectory}.new`;

/** Removes what starters that were killed left aside. Call it before `initialise`, and as the only starter. */
export async function clearLeftovers(dataDirectory: string): Promise<void> {
  const home = dirname(dataDirectory);
  const leftovers = (await readdir(home)).filter((name) =>
    name.startsWith(basename(aside(dataDirectory))),
  );
  for (const name of leftovers) {
    // An orphaned initdb may still write there. It fails soon, without its files; the next start removes the rest.
    await rm(join(home, name), { recursive: true, maxRetries: 3 }).catch(() => {});
  }
}

/**
 * Makes an empty cluster at `dataDirectory`, whole or not at all: initdb works
 * in a folder aside, which is renamed when it is done. Each attempt has a
 * folder of its own, because the initdb of a starter that was killed may still
 * be writing into the last one.
 * @throws BookpostError INITDB_FAILED with what initdb said last.
 */
export async function initialise(
  dataDirectory: string,
  superuserPassword: string,
  binaries: Binaries,
  runner: Runner,
): Promise<void> {
  const folder = `${aside(dataDirectory)}-${randomBytes(4).toString("hex")}`;
  const data = join(folder, "data");
  const passwordFile = join(folder, "password");
  await mkdir(folder, { mode: 0o700 });
  await writeFile(passwordFile, `${superuserPassword}\n`, { mode: 0o600 });
  if (runner.uid !== undefined && runner.gid !== undefined) {
    await chown(folder, runner.uid, runner.gid);
    await chown(passwordFile, runner.uid, runner.gid);
  }
  const { code, output } = await runAs(runner, binaries.initdb, [
    `--pgdata=${data}`,
    "--username=postgres",
    `--pwfile=${passwordFile}`,
    // Even on loopback: without a password any user of this machine would be superuser, and a superuser runs programs.
    "--auth=scram-sha-256",
    // The same text, sorted the same way, whatever locales this machine has.
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--data-checksums",
  ]);
  if (code !== 0) {
    await rm(folder, { recursive: true, maxRetries: 3 });
    const last = output.trim().split("\n").at(-1);
    throw new BookpostError(
      "INITDB_FAILED",
      `initdb could not make the embedded Postgres's data folder (${last}): put that right, or set DATABASE_URL to a Postgres of your own.`,
    );
  }
  await rename(data, dataDirectory);
  await rm(folder, { recursive: true });
}
