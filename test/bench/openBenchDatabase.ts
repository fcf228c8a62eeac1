import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type pg from "pg";
import { createPool } from "../../src/db/pool.ts";
import { startEmbeddedPostgres } from "../../src/ops/embeddedPostgres.ts";
import { migrate } from "../../src/ops/migrate.ts";

/** A Postgres of the bench's own, migrated and empty. */
export interface BenchDatabase {
  /** Login `bookpost`: owner, worker. */
  readonly url: string;
  /** Login `bookpost_authenticator`: the API's. */
  readonly apiUrl: string;
  readonly pool: pg.Pool;
  /** Stops it and removes its files. */
  close(): Promise<void>;
}

export async function openBenchDatabase(): Promise<BenchDatabase> {
  const root = await mkdtemp(join(tmpdir(), "bookpost-bench-"));
  const postgres = await startEmbeddedPostgres(join(root, ".postgres"));
  const pool = createPool(postgres.url, "worker");
  const close = async () => {
    await pool.end();
    await postgres.stop();
    await rm(root, { recursive: true, force: true });
  };
  try {
    await migrate({ databaseUrl: postgres.url, adminUrl: postgres.adminUrl });
  } catch (error) {
    await close();
    throw error;
  }
  return { url: postgres.url, apiUrl: postgres.apiUrl, pool, close };
}
