import { runMigrations } from "graphile-worker";
import pg from "pg";
import { inject, onTestFinished } from "vitest";
import { databaseUrl } from "../databaseUrl.ts";
import { one } from "../one.ts";
import { uniqueName } from "../uniqueName.ts";

/** A row of graphile-worker's own table of jobs. */
export interface StockJob {
  readonly id: string;
  readonly key: string | null;
  readonly attempts: number;
  /** Which pool holds it; null when none does. */
  readonly locked_by: string | null;
  readonly is_available: boolean;
  readonly run_at: Date;
}

/** A database in which there is graphile-worker as published, and nothing of ours. */
export interface StockQueue {
  readonly name: string;
  /** Its owner's login, who owns the queue too. */
  readonly url: string;
  /** Superuser, same database. */
  readonly adminUrl: string;
  /** As the owner. */
  readonly pool: pg.Pool;
  /** Adds a job with SQL `add_job` and gives its id. `spec` is the rest of that function's arguments, by name. */
  addJob(task: string, spec?: Readonly<Record<string, unknown>>): Promise<string>;
  /** The job as it stands, or null when it has been done: graphile-worker deletes what it completes. */
  job(id: string): Promise<StockJob | null>;
}

/** Makes it for this test, and drops it when the test ends. */
export async function makeStockQueue(): Promise<StockQueue> {
  const name = uniqueName("stock");
  const admin = new pg.Client(inject("adminUrl"));
  await admin.connect();
  onTestFinished(async () => {
    await admin.query(`drop database if exists ${name} with (force)`);
    await admin.end();
  });
  await admin.query(`create database ${name} owner bookpost`);
  const url = databaseUrl(inject("ownerUrl"), name);
  const pool = new pg.Pool({ connectionString: url, max: 4, options: "-c timezone=UTC" });
  pool.on("error", () => {});
  onTestFinished(() => pool.end());
  await runMigrations({ connectionString: url });

  return {
    name,
    url,
    adminUrl: databaseUrl(inject("adminUrl"), name),
    pool,
    async addJob(task, spec = {}) {
      const names = Object.keys(spec);
      const rest = names.map((argument, i) => `, ${argument} => $${i + 2}`).join("");
      const { id } = await one<{ id: string }>(
        pool,
        `select id from graphile_worker.add_job($1${rest})`,
        [task, ...Object.values(spec)],
      );
      return id;
    },
    async job(id) {
      const { rows } = await pool.query<StockJob>(
        `select id, key, attempts, locked_by, is_available, run_at
         from graphile_worker._private_jobs where id = $1`,
        [id],
      );
      return rows[0] ?? null;
    },
  };
}
