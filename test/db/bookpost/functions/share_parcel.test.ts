import { createHash, randomUUID } from "node:crypto";
import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { ago } from "../../../helpers/ago.ts";
import { apiClient } from "../../../helpers/apiClient.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { one } from "../../../helpers/one.ts";
import { openClient } from "../../../helpers/openClient.ts";
import { refusalOf, tryOut } from "../../../helpers/refusal.ts";
import { found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { newNumber, trackBook } from "../../../helpers/trackBook.ts";
import { untilItWaits } from "../../../helpers/untilItWaits.ts";

const db = testDatabase();

const SHARE = "select * from bookpost.share_parcel($1)";
const SHARE_FOR = "select * from bookpost.share_parcel($1, $2)";
const REVOKE = "select * from bookpost.revoke_tracking_link($1)";
const LOOK = "select * from bookpost.shared_parcel($1)";

interface Shared {
  readonly link_id: string;
  readonly token: string;
}

/** Ann's book in a parcel with one scan. */
async function annsBook() {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  const [ann, ben] = [await makeUser(client), await makeUser(client)];
  const book = await trackBook(client, code, { owner: ann, title: "Ulysses" });
  await lookUp(client, book.parcelId, (id) =>
    found(id, { events: [scan(ago(60), "in_transit", { location: "Leeds" })] }),
  );
  const share = () => one<Shared>(client, SHARE, [book.bookId]);
  const look = async (token: string) => (await client.query(LOOK, [token])).rows;
  return { client, carrier: code, ann, ben, book, share, look };
}

/** From now on the client is who the API would make it. */
async function become(client: ClientBase, role: string, userId: string | null): Promise<void> {
  await client.query("reset role");
  await client.query("select set_config('bookpost.user_id', $1, true)", [userId ?? ""]);
  await client.query(`set local role ${role}`);
}

test("a token shows its parcel to a visitor: where it is, and nothing that says whose or which", async () => {
  const { client, carrier, share } = await annsBook();
  const { token } = await share();
  expect(token).toMatch(/^[\w-]{43}$/);
  await become(client, "bookpost_visitor", null);
  const seen = await one(client, LOOK, [token]);
  expect(seen).toMatchObject({ status: "in_transit", last_scan_location: "Leeds" });
  expect(Object.keys(seen)).toEqual([
    "carrier_name",
    "status",
    "status_changed_at",
    "estimated_from",
    "estimated_until",
    "estimated_time_zone",
    "is_estimate_a_date",
    "delivered_at",
    "delivered_local_time",
    "delivered_time_zone",
    "last_scan_at",
    "last_scan_local_time",
    "last_scan_time_zone",
    "is_last_scan_a_date",
    "last_scan_location",
    "expires_at",
  ]);
  expect(JSON.stringify(seen)).not.toContain("Ulysses");
  expect(seen.carrier_name).toBe(
    (
      await client
        .query("reset role")
        .then(() =>
          one<{ name: string }>(client, "select name from bookpost.carriers where code = $1", [
            carrier,
          ]),
        )
    ).name,
  );
});

test("a token stands nowhere in the database, only its hash", async () => {
  const { client, share } = await annsBook();
  const { link_id, token } = await share();
  const row = await one<{ token_hash: Buffer }>(
    client,
    "select token_hash from bookpost_private.tracking_link_tokens where link_id = $1",
    [link_id],
  );
  expect(row.token_hash).toEqual(createHash("sha256").update(token).digest());
  const { rows } = await client.query("select l::text from bookpost.tracking_links l");
  expect(JSON.stringify(rows)).not.toContain(token.slice(0, 8));
});

test("the longest a link lives is a year, and it ends when it said", async () => {
  const { client, book, look } = await annsBook();
  const year = await one<Shared>(client, SHARE_FOR, [book.bookId, "366 days"]);
  expect(await look(year.token)).toHaveLength(1);
  for (const wrong of ["367 days", "0", "-1 day", null])
    expect(await tryOut(client, SHARE_FOR, [book.bookId, wrong])).toMatchObject({ code: "BP400" });
  await client.query(
    "update bookpost.tracking_links set created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' where id = $1",
    [year.link_id],
  );
  expect(await look(year.token)).toEqual([]);
});

test("a link that nobody bounds lives 30 days", async () => {
  const { client, share } = await annsBook();
  const { link_id } = await share();
  const row = await one<{ lives: string }>(
    client,
    "select (expires_at - created_at)::text as lives from bookpost.tracking_links where id = $1",
    [link_id],
  );
  expect(row.lives).toBe("30 days");
});

test("a revoked token shows nothing, at once and for good; other links go on", async () => {
  const { client, share, look } = await annsBook();
  const [first, second] = [await share(), await share()];
  const revoked = await one<{ revoked_at: Date }>(client, REVOKE, [first.link_id]);
  expect(await look(first.token)).toEqual([]);
  expect(await look(second.token)).toHaveLength(1);
  const again = await one<{ revoked_at: Date }>(client, REVOKE, [first.link_id]);
  expect(again.revoked_at).toEqual(revoked.revoked_at);
  await client.query("update bookpost.tracking_links set revoked_at = null");
  expect(await look(first.token)).toEqual([]);
});

test.each(["", "x", "a".repeat(43), "a".repeat(5_000)])(
  "a token that nobody has shows nothing: %#",
  async (token) => {
    const { look, share } = await annsBook();
    await share();
    expect(await look(token)).toEqual([]);
  },
);

test("a link never shows a later parcel of the book", async () => {
  const { client, carrier, ann, share, look } = await annsBook();
  const first = await trackBook(client, carrier, { owner: ann, appBookId: "b1" });
  const old = await one<Shared>(client, SHARE, [first.bookId]);
  const later = await trackBook(client, carrier, {
    owner: ann,
    appBookId: "b1",
    number: newNumber(),
  });
  expect(later.bookId).toBe(first.bookId);
  expect(later.parcelId).not.toBe(first.parcelId);
  await client.query("update bookpost.parcels set status = 'exception' where id = $1", [
    later.parcelId,
  ]);
  expect(await look(old.token)).toMatchObject([{ status: "pending" }]);
  const fresh = await one<Shared>(client, SHARE, [first.bookId]);
  expect(await look(fresh.token)).toMatchObject([{ status: "exception" }]);
  expect(await look((await share()).token)).toMatchObject([{ status: "in_transit" }]);
});

test("a scan of the number's earlier life is not shown", async () => {
  const { client, carrier } = await annsBook();
  const book = await trackBook(client, carrier);
  await client.query(
    `insert into bookpost.tracking_events (parcel_id, identity, raw_time, raw_code, status, occurred_at, sort_at, sort_rank, location)
     select $1, 'old', 'raw', 'D', 'delivered', t, t, 0, 'Utrecht' from (select now() - interval '60 days') x(t)`,
    [book.parcelId],
  );
  const { token } = await one<Shared>(client, SHARE, [book.bookId]);
  expect(await one(client, LOOK, [token])).toMatchObject({ last_scan_location: null });
});

test("a member can share and end her own; of another's she is told what she would be told of none", async () => {
  const { client, ann, ben, book } = await annsBook();
  await become(client, "bookpost_member", ann);
  const { link_id } = await one<Shared>(client, SHARE, [book.bookId]);
  await become(client, "bookpost_member", ben);
  const nobody = randomUUID();
  const withoutId = (refusal: unknown) => JSON.stringify(refusal).replace(/[0-9a-f-]{36}/, "…");
  for (const [statement, hers] of [
    [SHARE, book.bookId],
    [REVOKE, link_id],
  ] as const) {
    const refusal = await tryOut(client, statement, [hers]);
    expect(refusal).toMatchObject({ code: "BP404" });
    expect(withoutId(refusal)).toBe(withoutId(await tryOut(client, statement, [nobody])));
  }
  expect((await client.query("select from bookpost.tracking_links")).rows).toEqual([]);
  await become(client, "bookpost_member", ann);
  expect((await client.query("select from bookpost.tracking_links")).rows).toHaveLength(1);
  await client.query(REVOKE, [link_id]);
});

test("a member is refused another's without waiting, however long the rows are locked", async () => {
  const { code } = await makeApi(db.pool);
  const [ann, ben] = [await makeUser(db.pool), await makeUser(db.pool)];
  const { bookId } = await trackBook(db.pool, code, { owner: ann });
  const { link_id } = await one<Shared>(db.pool, SHARE, [bookId]);
  const holder = await rolledBack(db);
  await holder.query("select from bookpost.books where id = $1 for update", [bookId]);
  await holder.query("select from bookpost.tracking_links where id = $1 for update", [link_id]);
  const client = await apiClient(db, { role: "bookpost_member", userId: ben });
  await client.query("set local lock_timeout = '200ms'");
  expect(await tryOut(client, SHARE, [bookId])).toMatchObject({ code: "BP404" });
  expect(await tryOut(client, REVOKE, [link_id])).toMatchObject({ code: "BP404" });
});

test("a visitor cannot share, cannot end, and sees no list of links", async () => {
  const { client, book, share } = await annsBook();
  const { link_id } = await share();
  await become(client, "bookpost_visitor", null);
  for (const [statement, id] of [
    [SHARE, book.bookId],
    [REVOKE, link_id],
    ["select from bookpost.tracking_links where id = $1", link_id],
    ["select from bookpost_private.tracking_link_tokens where link_id = $1", link_id],
  ] as const)
    expect(await tryOut(client, statement, [id])).toMatchObject({ code: "42501" });
});

test("an operator can share and end anybody's", async () => {
  const { client, book } = await annsBook();
  await become(client, "bookpost_operator", null);
  const { link_id } = await one<Shared>(client, SHARE, [book.bookId]);
  await client.query(REVOKE, [link_id]);
});

test("a book has 20 links that work; one that has ended makes room, and goes when it has been over for a month", async () => {
  const { client, book, share } = await annsBook();
  const links: Shared[] = [];
  for (let n = 0; n < 20; n++) links.push(await share());
  expect(await tryOut(client, SHARE, [book.bookId])).toMatchObject({
    code: "BP409",
    hint: "Revoke one first.",
  });
  await client.query(REVOKE, [links[0]?.link_id]);
  await client.query(
    "update bookpost.tracking_links set created_at = now() - interval '40 days', expires_at = now() - interval '31 days' where id = $1",
    [links[1]?.link_id],
  );
  await share();
  const { rows } = await client.query(
    "select id from bookpost.tracking_links where book_id = $1 and id = any ($2)",
    [book.bookId, [links[0]?.link_id, links[1]?.link_id]],
  );
  expect(rows).toEqual([{ id: links[0]?.link_id }]);
});

test("two who share at the same time share the last place once", async () => {
  const { code } = await makeApi(db.pool);
  const { bookId } = await trackBook(db.pool, code);
  for (let n = 0; n < 19; n++) await db.pool.query(SHARE, [bookId]);
  const [first, second] = [await openClient(db.url), await openClient(db.url)];
  await first.query("begin");
  await first.query(SHARE, [bookId]);
  const refusal = refusalOf(second.query(SHARE, [bookId]));
  await untilItWaits(db.pool, second, refusal);
  await first.query("commit");
  expect(await refusal).toMatchObject({ code: "BP409" });
});

test("a book in no parcel cannot be shared", async () => {
  const { client, ann } = await annsBook();
  const { id } = await one<{ id: string }>(
    client,
    "insert into bookpost.books (owner_id, title) values ($1, 'Emma') returning id",
    [ann],
  );
  expect(await tryOut(client, SHARE, [id])).toMatchObject({
    code: "BP400",
    hint: "Track it first.",
  });
});

test("a link goes with its book", async () => {
  const { client, book, share, look } = await annsBook();
  const { link_id, token } = await share();
  await client.query("delete from bookpost.books where id = $1", [book.bookId]);
  expect(await look(token)).toEqual([]);
  const { rows } = await client.query(
    "select from bookpost_private.tracking_link_tokens where link_id = $1",
    [link_id],
  );
  expect(rows).toEqual([]);
});
