import type pg from "pg";
import { expect } from "vitest";
import { acquireLookups } from "../../../src/sql/acquireLookups.ts";
import { dispatch } from "../../../src/sql/dispatch.ts";
import { type LookupReport, recordLookups } from "../../../src/sql/recordLookups.ts";
import { releaseLookups } from "../../../src/sql/releaseLookups.ts";
import { sweep } from "../../../src/sql/sweep.ts";
import { ago } from "../../helpers/ago.ts";
import { expectQuiet } from "../../helpers/allIsQuiet.ts";
import type { TestDatabase } from "../../helpers/database.ts";
import { beatFor, makeApi, type TestApi } from "../../helpers/makeApi.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { openClients } from "../../helpers/openClient.ts";
import { failed, found, scan } from "../../helpers/reports.ts";
import { trackBook } from "../../helpers/trackBook.ts";

const CONNECTIONS = 8;
const IN_FLIGHT = 6;

/** mulberry32: the same numbers for the same seed, so that a failure can be run again. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What can be asked of functions that people call when another has just deleted or closed the thing. */
const EXPECTED = new Set(["BP400", "BP404", "BP409"]);

interface Tally {
  /** API code → permits granted, given back, and calls beyond the first of each recorded lookup. */
  readonly spent: Map<string, number>;
  readonly permits: { lookupId: string; apiCode: string }[];
  readonly books: string[];
  readonly numbers: string[];
  readonly unexpected: string[];
}

const OUTCOMES = [
  "not_found",
  "unavailable",
  "unavailable",
  "malformed",
  "local",
  "rate_limited",
  "rejected",
];
const STATUSES = ["in_transit", "out_for_delivery", "delivered", "exception", null];

function step(
  client: pg.Client,
  apis: readonly TestApi[],
  owners: readonly string[],
  tally: Tally,
  random: () => number,
) {
  const pick = <Item>(from: readonly Item[]) => from[Math.floor(random() * from.length)];
  const api = pick(apis);
  if (!api) throw new Error("no API");
  const spend = (apiCode: string, calls: number) =>
    tally.spent.set(apiCode, (tally.spent.get(apiCode) ?? 0) + calls);
  const take = () => tally.permits.splice(Math.floor(random() * tally.permits.length), 1);
  const call = { kind: "lookup", http_status: 200, age_ms: 5, duration_ms: 5 };

  const end = (lookupId: string): LookupReport => {
    const calls = Array.from({ length: Math.floor(random() * 3) }, () => call);
    if (random() < 0.6)
      return found(lookupId, {
        calls,
        events: Array.from({ length: Math.floor(random() * 3) }, () =>
          scan(ago(random() * 100), pick(STATUSES) ?? null),
        ),
      });
    const outcome = pick(OUTCOMES) ?? "local";
    return failed(lookupId, outcome, {
      calls,
      is_api_wide: outcome === "rejected" && random() < 0.3,
    });
  };

  const steps: Record<string, () => Promise<unknown>> = {
    async acquire() {
      const { rows } = await client.query<{ id: string }>(
        "select parcel_id as id from bookpost_private.checks order by random() limit 6",
      );
      const ids = rows.map(({ id }) => id);
      await client.query(
        `update bookpost_private.checks set next_check_at = clock_timestamp()
         where next_check_at is not null and parcel_id in
           (select parcel_id from bookpost_private.checks where parcel_id = any ($1) order by parcel_id for no key update skip locked)`,
        [ids],
      );
      for (const verdict of await acquireLookups(client, ids, api.workerId))
        if (verdict.verdict === "permit") {
          spend(verdict.apiCode, 1);
          tally.permits.push(verdict);
        }
    },
    async record() {
      const batch = [...take(), ...take(), ...take()];
      const reports = batch.map(({ lookupId }) => end(lookupId));
      const ends = await recordLookups(client, reports, api.workerId);
      const outcomes = new Map(ends.map(({ lookupId, outcome }) => [lookupId, outcome]));
      for (const [i, permit] of batch.entries()) {
        const outcome = outcomes.get(permit.lookupId);
        if (outcome === "busy") tally.permits.push(permit);
        else if (outcome) spend(permit.apiCode, (reports[i]?.calls.length ?? 1) - 1);
      }
    },
    async release() {
      const batch = [...take(), ...take()];
      // One at a time, so that the number tells whose it was.
      for (const { lookupId, apiCode } of batch)
        spend(apiCode, -(await releaseLookups(client, [lookupId], "late")));
    },
    async releaseSeveral() {
      const batch = [...take(), ...take(), ...take()].filter(({ apiCode }) => apiCode === api.code);
      spend(
        api.code,
        -(await releaseLookups(
          client,
          batch.map(({ lookupId }) => lookupId),
          "late",
        )),
      );
    },
    async forget() {
      // Its process died: the lease runs out.
      for (const { lookupId } of take())
        await client.query(
          "update bookpost_private.leases set started_at = started_at - interval '1 hour', lease_until = lease_until - interval '1 hour' where lookup_id = $1",
          [lookupId],
        );
    },
    sweep: () => sweep(client),
    dispatch: () => dispatch(client),
    beat: () => beatFor(client, api, pick(["first credentials", "second credentials"])),
    refresh: () => client.query("select bookpost.refresh_book($1)", [pick(tally.books)]),
    stop: () => client.query("select bookpost.stop_tracking($1)", [pick(tally.books)]),
    remove: () => client.query("delete from bookpost.books where id = $1", [pick(tally.books)]),
    async track() {
      const known = random() < 0.5 ? pick(tally.numbers) : undefined;
      const { rows } = await client.query<{ id: string }>(
        "select id from bookpost.track_book($1, $2, $3, owner => $4)",
        [`Book ${random()}`, api.code, known ?? `N${Math.floor(random() * 1e9)}000`, pick(owners)],
      );
      tally.books.push(rows[0]?.id ?? "");
    },
    force: () =>
      client.query("select bookpost_private.force_circuit($1, $2, 'ann', 'test', $3)", [
        api.code,
        pick(["open", "closed", "reset", "reset", "reset"]),
        `${Math.ceil(random() * 50)} milliseconds`,
      ]),
    wait: () =>
      client.query(
        `update bookpost_private.budgets set not_before = null, not_before_reason = null where api_code = $1`,
        [api.code],
      ),
    cool: () =>
      client.query(
        `update bookpost.carrier_circuits set open_until = open_until - interval '5 hours',
           probe_until = probe_until - (random() * interval '150 seconds') where api_code = $1`,
        [api.code],
      ),
  };
  const weights: [string, number][] = [
    ["acquire", 10],
    ["record", 8],
    ["release", 2],
    ["releaseSeveral", 1],
    ["forget", 1],
    ["sweep", 2],
    ["dispatch", 1],
    ["beat", 2],
    ["refresh", 2],
    ["stop", 1],
    ["remove", 1],
    ["track", 3],
    ["force", 1],
    ["wait", 1],
    ["cool", 2],
  ];
  const hat = weights.flatMap(([name, weight]) => Array<string>(weight).fill(name));
  const name = pick(hat) ?? "sweep";
  return { name, run: steps[name] ?? steps.sweep };
}

/**
 * Eight connections do everything at once, each so many steps: fails on a
 * deadlock, on an error nobody expects, and where the books do not balance
 * afterwards. The same seed draws the same steps; how they meet is up to chance.
 */
export async function everythingAtOnce(
  db: TestDatabase,
  { seed, steps }: { readonly seed: number; readonly steps: number },
): Promise<void> {
  const apis: TestApi[] = [];
  for (let i = 0; i < 3; i++)
    apis.push(await makeApi(db.pool, { calls_in_flight: IN_FLIGHT, min_check_interval: "0" }));
  const owners = await Promise.all(Array.from({ length: 6 }, () => makeUser(db.pool)));
  const tally: Tally = { spent: new Map(), permits: [], books: [], numbers: [], unexpected: [] };
  for (let i = 0; i < 45; i++) {
    const { code } = apis[i % 3] ?? { code: "" };
    const { bookId, number } = await trackBook(db.pool, code, { owner: owners[i % 6] ?? "" });
    tally.books.push(bookId);
    tally.numbers.push(number);
  }
  // The judge of lookups in flight, at the moment of each grant.
  await db.pool.query(`
    create function bookpost_private.judge_lease() returns trigger language plpgsql as $$
    begin
      if (select count(*) from bookpost_private.leases where api_code = NEW.api_code) > ${IN_FLIGHT} then
        raise exception 'more in flight than allowed';
      end if;
      return null;
    end $$;
    create trigger _900_judge after insert on bookpost_private.leases
      for each row execute function bookpost_private.judge_lease()`);

  const clients = await openClients(db.url, CONNECTIONS);
  const counts = new Map<string, number>();
  await Promise.all(
    clients.map(async (client, i) => {
      const random = randomFrom(seed + i);
      for (let n = 0; n < steps; n++) {
        const { name, run } = step(client, apis, owners, tally, random);
        try {
          await run?.();
          counts.set(name, (counts.get(name) ?? 0) + 1);
        } catch (error) {
          const { code, message } = error as { code?: string; message: string };
          if (!EXPECTED.has(code ?? "")) tally.unexpected.push(`${name}: ${code} ${message}`);
        }
      }
    }),
  );
  await db.pool.query("drop function bookpost_private.judge_lease() cascade");
  if (tally.unexpected.length > 0)
    throw new Error([`SEED=${seed}`, ...tally.unexpected].join("\n"));

  // Nothing was only refused: each kind of step did its work.
  expect(counts.size).toBe(15);
  const { rows: ledger } = await db.pool.query<{ outcome: string; n: number }>(
    "select outcome, count(*)::integer as n from bookpost_private.lookups group by 1",
  );
  expect(ledger.length).toBeGreaterThan(5);

  for (const { code } of apis) {
    const { rows } = await db.pool.query(
      `select b.day_calls, c.generation,
         (select array_agg(t.generation order by t.id) from bookpost_private.circuit_transitions t where t.api_code = b.api_code) as generations
       from bookpost_private.budgets b join bookpost.carrier_circuits c using (api_code) where b.api_code = $1`,
      [code],
    );
    const [{ day_calls, generation, generations }] = rows as [
      { day_calls: number; generation: number; generations: number[] },
    ];
    // Every call that was permitted is counted, and none twice.
    expect(day_calls, `SEED=${seed}`).toBe(tally.spent.get(code));
    // Every move of the circuit is logged, under a generation of its own.
    expect(generations).toEqual(Array.from({ length: generation - 1 }, (_, i) => i + 2));
  }
  // One lookup at the most was the probe of each generation.
  const { rows: probes } = await db.pool.query(
    "select api_code, generation from bookpost_private.lookups where is_probe group by 1, 2 having count(*) > 1",
  );
  expect(probes).toEqual([]);
  // The status is what the scans say.
  const { rows: wrong } = await db.pool.query(
    `select p.id, p.status, f.status as folded from bookpost.parcels p
     cross join lateral bookpost_private.fold_status(p.id, p.is_return, null, p.status) f
     where case
       when p.status = 'pending' then exists (select from bookpost.tracking_events e where e.parcel_id = p.id)
       else p.status <> f.status or p.delivered_at is distinct from f.delivered_at
     end`,
  );
  expect(wrong).toEqual([]);
  // Who was told, was told of each version once, of a stage worth telling.
  const { rows: told } = await db.pool.query(
    `select n.id from bookpost.notifications n join bookpost.parcels p on p.id = n.parcel_id
     join bookpost.parcel_statuses s on s.status = n.status
     where n.status_version > p.status_version or not s.is_told
       or (n.status_version = p.status_version and n.status <> p.status)`,
  );
  expect(told).toEqual([]);

  // An hour later: whatever was under way is over.
  await db.pool.query(
    "update bookpost_private.leases set started_at = started_at - interval '1 hour', lease_until = lease_until - interval '1 hour'",
  );
  await db.pool.query(
    `update bookpost.carrier_circuits set probe_until = probe_until - interval '1 hour',
       forced_until = forced_until - interval '1 hour'`,
  );
  await sweep(db.pool);
  await sweep(db.pool);
  const { rows: left } = await db.pool.query(
    `select 'lease' as what from bookpost_private.leases
     union all select 'probe' from bookpost.carrier_circuits where state = 'half_open'
     union all select 'hold' from bookpost.carrier_circuits where is_forced
     union all select 'note' from bookpost_private.forsaken_parcels
     union all select 'live parcel nobody waits for' from bookpost.parcels p
       where p.closed_at is null and not exists
         (select from bookpost.parcel_books b where b.parcel_id = p.id and b.stopped_at is null)
     union all select 'closed parcel with a next look' from bookpost.parcels p join bookpost_private.checks c on c.parcel_id = p.id
       where p.closed_at is not null and c.pause_reason is distinct from 'closed'
     union all select 'live parcel that counts as closed' from bookpost.parcels p join bookpost_private.checks c on c.parcel_id = p.id
       where p.closed_at is null and c.pause_reason = 'closed'`,
  );
  expect(left, `SEED=${seed}`).toEqual([]);
  await expectQuiet(db.pool);
}
