import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openClient } from "../../helpers/openClient.ts";
import { until } from "../../helpers/until.ts";
import { openStage, type Stage } from "../recovery/stage.ts";
import { expectAllWell, workerOf, workGoesOn } from "./work.ts";

// Somebody locks rows of ours in the wrong order, and a database that refuses to serialize: the worker's statements are
// the victims, each time.

let stage: Stage;
let processId: number;
beforeAll(async () => {
  // Found before a lock timeout (1 s) ends the wait.
  stage = await openStage(1, 81, { settings: { deadlock_timeout: "400ms" } });
  processId = workerOf(stage).worker.pid;
}, 120_000);
afterAll(() => stage?.close());

const timesLogged = async (words: string) =>
  (await readFile(stage.box.logFile, "utf8")).split(words).length - 1;

test("statements of ours that are the victims of deadlocks are done again", {
  timeout: 180_000,
}, async () => {
  const rival = await openClient(stage.db.adminUrl);
  // It never looks for a deadlock, so the worker is the one that finds it and is the victim.
  await rival.query("set deadlock_timeout = '1min'; set lock_timeout = '2s'");
  const { pid } = (await rival.query("select pg_backend_pid() as pid")).rows[0];
  const lock = (api: string) =>
    rival.query("select from bookpost_private.budgets where api_code = $1 for update", [api]);
  await until(
    "three deadlocks",
    async () => {
      await rival.query("begin");
      // Ours take fedex's first.
      await lock("ups");
      await until("one of the worker's waits", async () => {
        // On a connection of its own: a transaction sees one picture of all sessions.
        const rows = await stage.box.query(
          "select from pg_stat_activity where application_name like 'bookpost %' and $1 = any (pg_blocking_pids(pid))",
          [pid],
        );
        return rows.length > 0;
      });
      await lock("fedex").catch(() => {});
      await rival.query("rollback");
      return (await timesLogged("deadlock detected")) >= 3;
    },
    120_000,
  );
  await workGoesOn(stage.db, processId);
});

test("statements of ours that cannot be serialized are done again", {
  timeout: 120_000,
}, async () => {
  const admin = await openClient(stage.db.adminUrl);
  // A sequence counts on though its transaction is undone.
  await admin.query(`
    create sequence public.refusals;
    create function public.tg_refuse() returns trigger language plpgsql security definer as $$
    begin
      if nextval('public.refusals') <= 12 then
        raise exception 'could not serialize access due to a test' using errcode = '40001';
      end if;
      return NEW;
    end $$`);
  // One at a time, and again where it is the victim of a deadlock itself.
  for (const table of ["lookups", "leases"])
    await until(`${table} refuses`, () =>
      admin
        .query(
          `create or replace trigger refuse before insert on bookpost_private.${table}
           for each row execute function public.tg_refuse()`,
        )
        .then(
          () => true,
          () => false,
        ),
    );
  await until("it has refused", async () => {
    const { rows } = await admin.query("select last_value > 12 as has from public.refusals");
    return rows[0]?.has;
  });
  await workGoesOn(stage.db, processId);
});

test("and it was one worker, nothing was lost or told twice, and no carrier was blamed", {
  timeout: 240_000,
}, async () => {
  expect(workerOf(stage).worker.pid).toBe(processId);
  await expectAllWell(stage);
});
