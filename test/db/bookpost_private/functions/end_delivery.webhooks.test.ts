import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { beginDelivery } from "../../../../src/sql/beginDelivery.ts";
import { endDelivery } from "../../../../src/sql/endDelivery.ts";
import { ago } from "../../../helpers/ago.ts";
import { apiClient } from "../../../helpers/apiClient.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { one } from "../../../helpers/one.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

/** As Standard Webhooks gives it in its example, in seconds. */
const SCHEDULE = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

/** Seconds between an attempt's begin and its end on a machine that stalls: no test is about them. */
const STALL = 60;

async function addWebhook(client: ClientBase, person: string | null) {
  return one<{ endpoint_id: string; secret: string }>(
    client,
    "select * from bookpost.add_webhook('https://hooks.example/', $1)",
    [person],
  );
}

/** Ann, whose endpoint hears of her books; email is configured. */
async function stage() {
  const client = await rolledBack(db);
  const ann = await makeUser(client);
  await client.query("update bookpost.users set email = 'ann@example.org' where id = $1", [ann]);
  const { endpoint_id: endpoint, secret } = await addWebhook(client, ann);
  const api = await makeApi(client);
  const tell = async (owner = ann) => {
    const { parcelId } = await trackBook(client, api.code, { owner });
    await lookUp(client, parcelId, (id) => found(id, { events: [scan(ago(1), "in_transit")] }));
    const { rows } = await client.query<{ id: string; endpoint_id: string }>(
      `select d.id, d.endpoint_id from bookpost_private.deliveries d
       join bookpost_private.delivery_items i on i.delivery_id = d.id
       join bookpost.notifications n on n.id = i.notification_id
       where n.parcel_id = $1 and d.channel = 'webhook'`,
      [parcelId],
    );
    return rows;
  };
  /** The messages' time has come, and so has the route's. */
  const makeDue = async () => {
    await client.query(
      "update bookpost_private.deliveries set due_at = clock_timestamp() - interval '1 second' where state = 'queued'",
    );
    await client.query("update bookpost_private.routes set not_before = clock_timestamp()");
  };
  const attempt = async (id: string, outcome: string, more: { retryAfterMs?: number } = {}) => {
    await makeDue();
    const order = await beginDelivery(client, id, "worker");
    if (order.verdict !== "send") return order.reason;
    return endDelivery(client, id, order.attempt, {
      outcome,
      error: `It was ${outcome}.`,
      ...more,
    });
  };
  const stateOf = (id: string) =>
    one<{ state: string; reason: string | null; failure_count: number; wait: number }>(
      client,
      `select state, reason, failure_count, extract(epoch from due_at - attempted_at)::double precision as wait
       from bookpost_private.deliveries where id = $1`,
      [id],
    );
  const disabledFor = async (id = endpoint) =>
    (
      await one<{ disabled_reason: string | null }>(
        client,
        "select disabled_reason from bookpost.webhook_endpoints where id = $1",
        [id],
      )
    ).disabled_reason;
  const emails = async () =>
    (
      await client.query(
        "select user_id, endpoint_id from bookpost_private.deliveries where kind = 'endpoint_disabled'",
      )
    ).rows;
  const configureEmail = () =>
    client.query(
      "update bookpost_private.channels set is_configured = true where channel = 'email'",
    );
  return {
    client,
    ann,
    endpoint,
    secret,
    tell,
    attempt,
    stateOf,
    disabledFor,
    emails,
    makeDue,
    configureEmail,
  };
}

const idOf = (rows: readonly { id: string }[]) => rows[0]?.id ?? "";

test("ten failures by the schedule, each up to a fifth later, end a message, disable the endpoint and tell its owner by email", async () => {
  const { ann, endpoint, tell, attempt, stateOf, disabledFor, emails, configureEmail } =
    await stage();
  const id = idOf(await tell());
  const waiting = idOf(await tell());
  await configureEmail();
  for (const seconds of SCHEDULE) {
    expect(await attempt(id, "unavailable")).toBe("queued");
    const { wait } = await stateOf(id);
    expect(wait).toBeGreaterThanOrEqual(seconds);
    expect(wait).toBeLessThanOrEqual(seconds * 1.2 + STALL);
    expect(await disabledFor()).toBe(null);
  }
  expect(await attempt(id, "unavailable")).toBe("dead");
  expect(await stateOf(id)).toMatchObject({ reason: "attempts_spent", failure_count: 10 });
  expect(await disabledFor()).toBe("failing");
  expect(await stateOf(waiting)).toMatchObject({
    state: "dead",
    reason: "endpoint_disabled",
    failure_count: 0,
  });
  expect(await emails()).toEqual([{ user_id: ann, endpoint_id: endpoint }]);
});

test("a message that an endpoint cannot take dies alone where it takes others meanwhile", async () => {
  const { tell, attempt, disabledFor } = await stage();
  const poison = idOf(await tell());
  const other = idOf(await tell());
  for (const _ of SCHEDULE) await attempt(poison, "deferred");
  expect(await attempt(other, "sent")).toBe("sent");
  expect(await attempt(poison, "deferred")).toBe("dead");
  expect(await disabledFor()).toBe(null);
});

test("a message that becomes too old disables an endpoint that still fails, though none came to its tenth failure", async () => {
  const { client, tell, attempt, disabledFor } = await stage();
  const [old, tried] = [idOf(await tell()), idOf(await tell())];
  await attempt(tried, "unavailable");
  await client.query(
    "update bookpost_private.deliveries set created_at = created_at - interval '121 hours' where id = $1",
    [old],
  );
  expect(await attempt(old, "sent")).toBe("too_old");
  expect(await disabledFor()).toBe("failing");
});

test("a message that becomes too old while no worker ran disables nothing", async () => {
  const { client, tell, attempt, disabledFor } = await stage();
  const old = idOf(await tell());
  await client.query(
    "update bookpost_private.deliveries set created_at = created_at - interval '121 hours' where id = $1",
    [old],
  );
  expect(await attempt(old, "sent")).toBe("too_old");
  expect(await disabledFor()).toBe(null);
});

test("410 disables at once, the message cannot be sent again until the endpoint is enabled, and then it can, under its id", async () => {
  const { client, endpoint, tell, attempt, stateOf, disabledFor } = await stage();
  const id = idOf(await tell());
  expect(await attempt(id, "gone")).toBe("dead");
  expect(await disabledFor()).toBe("gone");
  expect(await tell()).toEqual([]);
  const retry = "select bookpost_private.retry_delivery($1)";
  expect(await tryOut(client, retry, [id])).toMatchObject({ code: "BP409" });
  await client.query("select bookpost.enable_webhook($1)", [endpoint]);
  await client.query(retry, [id]);
  expect(await stateOf(id)).toMatchObject({ state: "queued", failure_count: 0 });
  expect(await attempt(id, "sent")).toBe("sent");
  expect(await tryOut(client, retry, [id])).toMatchObject({ code: "BP409" });
});

test("an endpoint in trouble keeps its other messages waiting, without counting it as their failure, and nobody else's", async () => {
  const { client, tell, attempt, stateOf, makeDue } = await stage();
  const ben = await makeUser(client);
  await addWebhook(client, ben);
  const [hers, alsoHers, his] = [idOf(await tell()), idOf(await tell()), idOf(await tell(ben))];
  await attempt(hers, "unavailable", { retryAfterMs: 60_000 });
  const due =
    "update bookpost_private.deliveries set due_at = clock_timestamp() where id = any ($1)";
  await client.query(due, [[alsoHers, his]]);
  expect(await beginDelivery(client, alsoHers, "worker")).toMatchObject({
    verdict: "wait",
    reason: "route_held",
  });
  expect(await stateOf(alsoHers)).toMatchObject({ state: "queued", failure_count: 0 });
  expect(await beginDelivery(client, his, "worker")).toMatchObject({ verdict: "send" });

  // The hold is over; what gets through ends the trouble for all.
  await makeDue();
  expect(await attempt(hers, "sent")).toBe("sent");
  await client.query(due, [[alsoHers]]);
  expect(await beginDelivery(client, alsoHers, "worker")).toMatchObject({ verdict: "send" });
  const { failure_count } = await one<{ failure_count: number }>(
    client,
    "select failure_count from bookpost_private.routes",
  );
  expect(failure_count).toBe(0);
});

test.each([
  [3_600_000, 3_600],
  [30 * 86_400_000, 86_400],
])(
  "Retry-After of %i ms is obeyed, a day at most, and is no failure",
  async (retryAfterMs, seconds) => {
    const { tell, attempt, stateOf } = await stage();
    const id = idOf(await tell());
    expect(await attempt(id, "rate_limited", { retryAfterMs })).toBe("queued");
    const { wait, failure_count } = await stateOf(id);
    expect(wait).toBeGreaterThanOrEqual(seconds);
    expect(wait).toBeLessThanOrEqual(seconds + STALL);
    expect(failure_count).toBe(0);
  },
);

test("the waits of many that failed together are spread between the schedule and a fifth more", async () => {
  const { client, tell, attempt, stateOf } = await stage();
  const id = idOf(await tell());
  const waits: number[] = [];
  for (let i = 0; i < 200; i += 1) {
    await client.query("update bookpost_private.deliveries set failure_count = 4 where id = $1", [
      id,
    ]);
    await attempt(id, "unavailable");
    waits.push((await stateOf(id)).wait);
  }
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(18_000);
  expect(Math.max(...waits)).toBeLessThanOrEqual(18_000 * 1.2 + STALL);
  expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(1_800);
});

test("one person's endpoint hears of her books only, and one for everyone hears of all", async () => {
  const { client, endpoint, tell } = await stage();
  const ben = await makeUser(client);
  const { endpoint_id: everyones } = await addWebhook(client, null);
  expect((await tell()).map((d) => d.endpoint_id).toSorted()).toEqual(
    [endpoint, everyones].toSorted(),
  );
  expect((await tell(ben)).map((d) => d.endpoint_id)).toEqual([everyones]);
});

test("after a rotation both secrets sign until the overlap is over; one without overlap ends every older one", async () => {
  const { client, endpoint, secret, tell } = await stage();
  const id = idOf(await tell());
  const rotate = async (overlap: string) =>
    (
      await one<{ s: string }>(
        client,
        "select bookpost.rotate_webhook_secret($1, $2::interval) as s",
        [endpoint, overlap],
      )
    ).s;
  const secrets = async () =>
    (
      await one<{ m: { endpoint: { secrets: string[] } } }>(
        client,
        "select bookpost_private.message_of(d, '{}') as m from bookpost_private.deliveries d where id = $1",
        [id],
      )
    ).m.endpoint.secrets;
  const second = await rotate("1 day");
  expect(await secrets()).toEqual([second, secret]);
  await client.query(
    "update bookpost_private.webhook_secrets set ends_at = ends_at - interval '25 hours'",
  );
  expect(await secrets()).toEqual([second]);
  const third = await rotate("1 day");
  expect(await secrets()).toEqual([third, second]);
  const fourth = await rotate("0");
  expect(await secrets()).toEqual([fourth]);
  for (const overlap of ["31 days", "-1 second"])
    expect(
      await tryOut(client, "select bookpost.rotate_webhook_secret($1, $2::interval)", [
        endpoint,
        overlap,
      ]),
    ).toMatchObject({ code: "BP400" });
});

test("a member cannot see another's endpoint, nor any secret, nor everyone's", async () => {
  const [ann, ben] = [await makeUser(db.pool), await makeUser(db.pool)];
  const add = async (person: string | null) =>
    (
      await one<{ id: string }>(
        db.pool,
        "select endpoint_id as id from bookpost.add_webhook('https://hooks.example/', $1)",
        [person],
      )
    ).id;
  const hers = await add(ann);
  await add(ben);
  await add(null);
  const member = await apiClient(db, { role: "bookpost_member", userId: ann });
  expect((await member.query("select id from bookpost.webhook_endpoints")).rows).toEqual([
    { id: hers },
  ]);
  for (const sql of [
    "select * from bookpost_private.webhook_secrets",
    "select bookpost.add_webhook('https://hooks.example/')",
    `select bookpost.rotate_webhook_secret('${hers}')`,
    `update bookpost.webhook_endpoints set url = 'https://evil.example/' where id = '${hers}'`,
  ])
    expect(await tryOut(member, sql)).toMatchObject({ code: "42501" });
});
