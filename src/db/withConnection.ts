import type pg from "pg";
import { createPool } from "./pool.ts";

/** One connection, so that what is set for its session holds for all of its statements. */
export type Connection = pg.PoolClient;

/** Gives `work` one connection of its own to the database at `url`, and closes it. Commits nothing by itself. */
export async function withConnection<T>(
  url: string,
  work: (client: Connection) => Promise<T>,
): Promise<T> {
  const pool = createPool(url, "cli");
  try {
    const client = await pool.connect();
    try {
      return await work(client);
    } finally {
      client.release(true);
    }
  } finally {
    await pool.end();
  }
}
