import type { ClientBase } from "pg";
import { expect } from "vitest";
import { one } from "../../../helpers/one.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";

const db = testDatabase();

const REPAIR = "bookpost_private.repair_timetable";

/** As workers do it, every second. */
const repair = (client: ClientBase) => client.query("select bookpost_private.sweep()");

/** The queue has noted down that this entry was done `ahead` from now. */
async function noteAsDone(client: ClientBase, identifier: string, ahead: string): Promise<void> {
  await client.query(
    `insert into graphile_worker._private_known_crontabs (identifier, known_since, last_execution)
     values ($1, now(), clock_timestamp() + $2::interval)
     on conflict (identifier) do update set last_execution = excluded.last_execution`,
    [identifier, ahead],
  );
}

/** How far from now it is noted as done, in seconds; ahead is positive. */
async function doneAhead(client: ClientBase, identifier: string): Promise<number> {
  const { seconds } = await one<{ seconds: number }>(
    client,
    `select extract(epoch from last_execution - clock_timestamp())::double precision as seconds
     from graphile_worker._private_known_crontabs where identifier = $1`,
    [identifier],
  );
  return seconds;
}

async function planJob(client: ClientBase, task: string, key: string, ahead: string) {
  await client.query(
    "select graphile_worker.add_job($1, job_key => $2, run_at => clock_timestamp() + $3::interval)",
    [task, key, ahead],
  );
}

async function waitOf(client: ClientBase, key: string): Promise<number> {
  const { seconds } = await one<{ seconds: number }>(
    client,
    `select extract(epoch from run_at - clock_timestamp())::double precision as seconds
     from graphile_worker.jobs where key = $1`,
    [key],
  );
  return seconds;
}

for (const ahead of ["90 seconds", "1 hour", "1 day"])
  testRule(
    db,
    `an entry that a fast clock has marked as done ${ahead} ahead is done up to this minute, and the next one comes`,
    async (client) => {
      for (const entry of ["dispatch", "maintain"]) await noteAsDone(client, entry, ahead);
      await repair(client);
      for (const entry of ["dispatch", "maintain"]) {
        // The beginning of this minute, or of the one before if it has just ended.
        expect(await doneAhead(client, entry)).toBeLessThanOrEqual(0);
        expect(await doneAhead(client, entry)).toBeGreaterThan(-120);
      }
    },
    {
      "it is left": {
        function: REPAIR,
        from: "k.last_execution > v_now + interval '1 minute'",
        to: "false",
      },
      "only dispatch is mended": {
        function: REPAIR,
        from: "k.identifier in ('dispatch', 'maintain')",
        to: "k.identifier in ('dispatch')",
      },
    },
  );

testRule(
  db,
  "an entry within a minute of now stays as it is",
  async (client) => {
    await noteAsDone(client, "dispatch", "50 seconds");
    await repair(client);
    expect(await doneAhead(client, "dispatch")).toBeGreaterThan(0);
  },
  {
    "every time ahead is mended": {
      function: REPAIR,
      from: "k.last_execution > v_now + interval '1 minute'",
      to: "k.last_execution > v_now",
    },
  },
);

testRule(
  db,
  "another program's entries and jobs are none of its business",
  async (client) => {
    await noteAsDone(client, "send_invoices", "1 day");
    await planJob(client, "send_invoices", "send_invoices", "1 day");
    await repair(client);
    expect(await doneAhead(client, "send_invoices")).toBeGreaterThan(80_000);
    expect(await waitOf(client, "send_invoices")).toBeGreaterThan(80_000);
  },
  {
    "all entries are mended": {
      function: REPAIR,
      from: "k.identifier in ('dispatch', 'maintain') and",
      to: "",
    },
    "all jobs are mended": {
      function: REPAIR,
      from: "j.key in ('dispatch', 'maintain') and",
      to: "",
    },
  },
);

testRule(
  db,
  "the crontab's job that a fast clock has put into the future is due now",
  async (client) => {
    await planJob(client, "dispatch", "dispatch", "1 hour");
    await repair(client);
    expect(await waitOf(client, "dispatch")).toBeLessThanOrEqual(0);
  },
  {
    "it is left": { function: REPAIR, from: "j.run_at > v_now + interval '1 minute'", to: "false" },
  },
);

testRule(
  db,
  "the crontab's job that is being done, or due within a minute, is left",
  async (client) => {
    await planJob(client, "dispatch", "dispatch", "1 hour");
    await planJob(client, "maintain", "maintain", "50 seconds");
    await client.query(
      "update graphile_worker._private_jobs set locked_by = 'a worker', locked_at = now() where key = 'dispatch'",
    );
    await repair(client);
    expect(await waitOf(client, "dispatch")).toBeGreaterThan(3_000);
    expect(await waitOf(client, "maintain")).toBeGreaterThan(0);
  },
  {
    "every time ahead is mended": {
      function: REPAIR,
      from: "j.run_at > v_now + interval '1 minute'",
      to: "j.run_at > v_now",
    },
  },
);
