import type pg from "pg";
import { createPool } from "../../db/pool.ts";

/** Logs in at `url`, does `work` on that one connection and closes it. Commits nothing by itself. */
export async function login<T>(
  url: string,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const pool = createPool(url, "migrate", { max: 1 });
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
