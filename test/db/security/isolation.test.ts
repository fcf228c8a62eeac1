import type { ClientBase } from "pg";
import { describe, expect, test } from "vitest";
import { ago } from "../../helpers/ago.ts";
import { apiClient } from "../../helpers/apiClient.ts";
import { lookUp } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { tryOut } from "../../helpers/refusal.ts";
import { found, scan } from "../../helpers/reports.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { trackBook } from "../../helpers/trackBook.ts";

const db = testDatabase();

// Who sees which table's rows is matrix.test.ts; here is what it takes more than one row to tell.

/** Two owners, each with a book, a parcel, a scan and a notification. */
async function annAndBen(): Promise<[string, string]> {
  const { code } = await makeApi(db.pool);
  const owners: [string, string] = [await makeUser(db.pool), await makeUser(db.pool)];
  for (const owner of owners) {
    const { parcelId } = await trackBook(db.pool, code, { owner });
    await lookUp(db.pool, parcelId, (id) => found(id, { events: [scan(ago(1), "in_transit")] }));
  }
  return owners;
}

async function countOf(client: ClientBase, table: string): Promise<number> {
  const { rows } = await client.query<{ n: number }>(
    `select count(*)::integer as n from bookpost.${table}`,
  );
  return rows[0]?.n ?? -1;
}

describe("a member", () => {
  test("with an empty user sees nothing; with nonsense for a user, an error", async () => {
    await annAndBen();
    const client = await apiClient(db, { role: "bookpost_member" });
    await client.query("select set_config('bookpost.user_id', '', true)");
    expect(await countOf(client, "books")).toBe(0);
    await client.query("select set_config('bookpost.user_id', 'everybody', true)");
    expect(await tryOut(client, "select * from bookpost.books")).toMatchObject({ code: "22P02" });
  });

  test("is told nothing of the one before her on the same connection", async () => {
    const [ann, ben] = await annAndBen();
    const client = await apiClient(db);
    for (const userId of [ann, ben, ann, ben]) {
      await client.query("rollback; begin");
      await client.query("select set_config('bookpost.user_id', $1, true)", [userId]);
      await client.query("set local role bookpost_member");
      const { rows } = await client.query("select owner_id from bookpost.books");
      expect(rows).toEqual([{ owner_id: userId }]);
    }
    await client.query("rollback; begin; set local role bookpost_member");
    expect(await countOf(client, "books")).toBe(0);
  });

  test("who shares a parcel with another sees the parcel, and not the other's book, relation or notification", async () => {
    const { code } = await makeApi(db.pool);
    const [ann, ben] = [await makeUser(db.pool), await makeUser(db.pool)];
    const { parcelId, number } = await trackBook(db.pool, code, { owner: ann, title: "Hers" });
    await trackBook(db.pool, code, { owner: ben, number, title: "His" });
    await lookUp(db.pool, parcelId, (id) => found(id, { events: [scan(ago(1), "in_transit")] }));
    const client = await apiClient(db, { role: "bookpost_member", userId: ben });
    expect(await countOf(client, "parcels")).toBe(1);
    expect(await countOf(client, "tracking_events")).toBe(1);
    const { rows } = await client.query(
      `select b.title, pb.owner_id, n.user_id from bookpost.parcel_books pb
       join bookpost.books b on b.id = pb.book_id join bookpost.notifications n on n.book_id = b.id`,
    );
    expect(rows).toEqual([{ title: "His", owner_id: ben, user_id: ben }]);
  });

  test("learns of her own parcel when it was looked at, and of another's row nothing, as the API asks", async () => {
    const [ann] = await annAndBen();
    const client = await apiClient(db, { role: "bookpost_member", userId: ann });
    const { rows } = await client.query(
      "select bookpost.parcels_did_last_look_work(p) as worked from bookpost.parcels p",
    );
    expect(rows).toEqual([{ worked: true }]);
  });
});

test("tracking a number ends the same whether or not someone else has it already", async () => {
  const { code } = await makeApi(db.pool);
  const [ann, ben] = [await makeUser(db.pool), await makeUser(db.pool)];
  const known = await trackBook(db.pool, code, { owner: ann });
  const shared = await trackBook(db.pool, code, { owner: ben, number: known.number });
  const alone = await trackBook(db.pool, code, { owner: ben });
  expect(Object.keys(shared)).toEqual(Object.keys(alone));
  expect(shared.ownerId).toBe(ben);
});
