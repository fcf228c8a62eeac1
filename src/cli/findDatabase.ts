import { join } from "node:path";
import type { Config } from "../config.ts";
import { BookpostError } from "../errors.ts";
import { findEmbeddedPostgres } from "../ops/embeddedPostgres.ts";

export interface FoundDatabase {
  /** Holds a password. */
  readonly url: string;
  /** Someone who may create roles; null where only the owner of DATABASE_URL's server knows one. */
  readonly adminUrl: string | null;
}

/**
 * DATABASE_URL, or else the embedded server that runs under the project.
 * Starts nothing: a command that people run by the way must not leave a server behind.
 * @throws BookpostError NO_DATABASE with the way out.
 */
export async function findDatabase(config: Config, project: string): Promise<FoundDatabase> {
  if (config.databaseUrl !== null) return { url: config.databaseUrl, adminUrl: null };
  const server = await findEmbeddedPostgres(join(project, ".postgres"));
  if (server !== null) return { url: server.url, adminUrl: server.adminUrl };
  throw new BookpostError(
    "NO_DATABASE",
    "There is no database: run npm start, which brings its own, or set DATABASE_URL in the environment or in .env.",
  );
}
