import { expect, test } from "vitest";
import { openClient } from "../../helpers/openClient.ts";
import { holdPauses, makePause, PAUSE, sabotage } from "../../helpers/sabotage.ts";
import { until } from "../../helpers/until.ts";
import { openScene, type Scene } from "../processes/scene.ts";

// A dispatch of very many that dies when a part of them is queued.

const DUE = 20_000;

/** Numbers that their carrier does not know, all due at one instant; and a witness of each job that is committed. */
async function makeManyDue({ db }: Scene): Promise<void> {
  // So that one dispatch may send them all.
  await db.pool.query("update bookpost.carrier_apis set calls_in_flight = 1000 where code = 'ups'");
  await db.pool.query(
    `with p as (
       insert into bookpost.parcels (carrier_code, tracking_number)
       select 'ups', 'BULK' || n from generate_series(1, $1::integer) n returning id
     )
     insert into bookpost_private.checks (parcel_id, api_code, next_check_at)
     select id, 'ups', date_trunc('hour', now() - interval '1 hour') from p`,
    [DUE],
  );
  await db.pool.query(`
    create table public.job_witness (key text not null);
    create function public.tg_witness_job() returns trigger language plpgsql as $$
    begin
      insert into public.job_witness (key) values (NEW.key);
      return null;
    end $$;
    create trigger witness_job after insert on graphile_worker._private_jobs
      for each row when (NEW.key like 'parcel:%') execute function public.tg_witness_job();
  `);
}

test.each(["its worker is killed", "its session is ended"])(
  "a dispatch of 20,000 parcels that dies half-way (%s) leaves nothing, and the next queues each once",
  { timeout: 180_000 },
  async (how) => {
    const scene = await openScene();
    const { db } = scene;
    await makeManyDue(scene);
    const holder = await openClient(db.url);
    await makePause(db.pool);
    const repair = await sabotage(db.pool, [
      {
        function: "bookpost_private.dispatch",
        from: "      ));\n    end loop;",
        to: `      ));\n      perform ${PAUSE};\n    end loop;`,
      },
    ]);
    const letGo = await holdPauses(holder);
    const { rows } = await db.pool.query<{ name: string }>("select current_database() as name");
    // For sessions to come: the worker's.
    const admin = await openClient(db.adminUrl);
    await admin.query(`alter database ${rows[0]?.name} set bookpost_test.pauses = 'on'`);
    const worker = await scene.start();
    await db.pool.query("select bookpost_private.wake_dispatch()");
    const pid = await worker.untilReady("a dispatch has queued a part and stops", async () => {
      const { rows: waiting } = await db.pool.query<{ pid: number }>(
        `select pid from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock' and wait_event = 'advisory'
           and application_name = 'bookpost housekeeping' and query like '%dispatch%'`,
      );
      return waiting[0]?.pid;
    });
    await repair();
    if (how === "its worker is killed") worker.kill("SIGKILL");
    else await db.pool.query("select pg_terminate_backend($1)", [pid]);
    // Of a client that is dead Postgres learns when the wait for a lock has taken too long.
    await until("its session is gone", async () => {
      const { rowCount } = await db.pool.query("select from pg_stat_activity where pid = $1", [
        pid,
      ]);
      return rowCount === 0;
    });
    const before = await db.pool.query("select from public.job_witness");
    // None of it; or, where another was quicker than this question, all of the next.
    expect([0, DUE]).toContain(before.rowCount);
    await letGo();

    if (how === "its worker is killed") await scene.start();
    await until(
      "all are queued",
      async () => (await db.pool.query("select from public.job_witness")).rowCount === DUE,
      120_000,
    );
    const { rows: counts } = await db.pool.query(
      "select count(*)::integer as jobs, count(distinct key)::integer as keys from public.job_witness",
    );
    expect(counts).toEqual([{ jobs: DUE, keys: DUE }]);
    expect(await scene.finish()).toEqual({});
  },
);
