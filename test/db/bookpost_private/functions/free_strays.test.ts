import type { ClientBase } from "pg";
import { expect } from "vitest";
import { freeStrays } from "../../../../src/sql/freeStrays.ts";
import { ageLease } from "../../../helpers/ageing.ts";
import { permitFor } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { checkOf } from "../../../helpers/parcelOf.ts";
import { addLockedJob, holdersOf } from "../../../helpers/queueJobs.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const FREE = "bookpost_private.free_strays";

/** A lookup of the worker that began `ago`. */
async function begin(client: ClientBase, api: { code: string; workerId: string }, ago: string) {
  const { parcelId } = await trackBook(client, api.code);
  const lookupId = await permitFor(client, parcelId, api.workerId);
  await ageLease(client, parcelId, ago);
  return { parcelId, lookupId };
}

testRule(
  db,
  "a job that a living worker has had for ten seconds and does not know of is freed, and no other",
  async (client) => {
    const api = await makeApi(client);
    const job = { task: "track_book", workerId: api.workerId };
    const stray = await addLockedJob(client, { ...job, lockedFor: "10 seconds" });
    const young = await addLockedJob(client, { ...job, lockedFor: "7 seconds" });
    const inHand = await addLockedJob(client, { ...job, lockedFor: "1 hour" });
    const others = await addLockedJob(client, { ...job, workerId: "b", lockedFor: "1 hour" });
    expect(await freeStrays(client, api.workerId, [inHand], [])).toBe(1);
    expect(await holdersOf(client, stray, young, inHand, others)).toEqual([
      "nobody 0",
      `${api.workerId} 1`,
      `${api.workerId} 1`,
      "b 1",
    ]);
  },
  {
    "at once": { function: FREE, from: "interval '10 seconds'", to: "interval '1 second'" },
    "in half a minute": {
      function: FREE,
      from: "interval '10 seconds'",
      to: "interval '30 seconds'",
    },
    "the list is not read": { function: FREE, from: "v_before, job_ids)", to: "v_before)" },
  },
);

testRule(
  db,
  "a permit that its worker never learnt of is given up after ten seconds, and no other: interrupted, no crash",
  async (client) => {
    const api = await makeApi(client);
    const stray = await begin(client, api, "10 seconds");
    const young = await begin(client, api, "7 seconds");
    const inHand = await begin(client, api, "1 minute");
    const others = await begin(client, { ...api, workerId: "b" }, "1 minute");
    expect(await freeStrays(client, api.workerId, [], [inHand.lookupId])).toBe(1);
    const { rows } = await client.query("select lookup_id from bookpost_private.leases");
    expect(new Set(rows.map(({ lookup_id }) => lookup_id))).toEqual(
      new Set([young.lookupId, inHand.lookupId, others.lookupId]),
    );
    expect(
      await one(
        client,
        `select k.outcome, k.error_code, c.crash_count, c.next_check_at <= clock_timestamp() as is_due
         from bookpost_private.lookups k join bookpost_private.checks c using (parcel_id) where k.id = $1`,
        [stray.lookupId],
      ),
    ).toEqual({ outcome: "interrupted", error_code: "INTERRUPTED", crash_count: 0, is_due: true });
  },
  {
    "at once": { function: FREE, from: "interval '10 seconds'", to: "interval '1 second'" },
    "in half a minute": {
      function: FREE,
      from: "interval '10 seconds'",
      to: "interval '30 seconds'",
    },
    "the list is not read": {
      function: FREE,
      from: "and not (l.lookup_id = any (free_strays.lookup_ids))",
      to: "",
    },
    "whose it is is not asked": {
      function: FREE,
      from: "l.worker_id = free_strays.worker_id and",
      to: "",
    },
    "it is called a crash": {
      function: FREE,
      from: "'its worker never learnt that it had been permitted')",
      to: "'its worker never learnt that it had been permitted', true)",
    },
  },
);

testRule(
  db,
  "dispatch is woken when something was freed, and not otherwise",
  async (client) => {
    const api = await makeApi(client);
    await client.query("delete from graphile_worker._private_jobs");
    const dispatches = () =>
      one(
        client,
        "select count(*)::integer as n from graphile_worker.jobs where task_identifier = 'dispatch'",
      );
    expect(await freeStrays(client, api.workerId, [], [])).toBe(0);
    expect(await dispatches()).toEqual({ n: 0 });
    await addLockedJob(client, {
      task: "track_book",
      workerId: api.workerId,
      lockedFor: "1 minute",
    });
    await freeStrays(client, api.workerId, [], []);
    expect(await dispatches()).toEqual({ n: 1 });
  },
  {
    "nobody wakes it": { function: FREE, from: "if v_count > 0 then", to: "if false then" },
    "it is woken always": { function: FREE, from: "if v_count > 0 then", to: "if true then" },
  },
);

testRule(
  db,
  "a parcel whose permit was lost can be looked at by anybody at once",
  async (client) => {
    const api = await makeApi(client);
    const { parcelId } = await begin(client, api, "11 seconds");
    await freeStrays(client, api.workerId, [], []);
    expect(await checkOf(client, parcelId)).toMatchObject({ last_outcome: "interrupted" });
    await permitFor(client, parcelId, "another");
  },
);
