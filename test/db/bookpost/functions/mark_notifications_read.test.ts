import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { asMember } from "../../../helpers/asMember.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { one } from "../../../helpers/one.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const MARK = "select bookpost.mark_notifications_read($1, $2, $3) as count";
const MARKING = "bookpost.mark_notifications_read";

/** Three notifications of hers, an hour apart, and as many of his; ids oldest first. */
async function hersAndHis(client: ClientBase) {
  const [ann, ben] = [await makeUser(client), await makeUser(client)];
  const idsOf = async (owner: string) => {
    const { bookId, parcelId } = await trackBook(client, "other", { owner });
    const { rows } = await client.query<{ id: string }>(
      `insert into bookpost.notifications (user_id, book_id, parcel_id, status, status_version, created_at)
       select $1, $2, $3, 'in_transit', n, timestamptz '2025-08-01 00:00Z' + n * interval '1 hour'
       from generate_series(1, 3) n order by n returning id`,
      [owner, bookId, parcelId],
    );
    return rows.map(({ id }) => id);
  };
  const mark = async (ids: string[] | null, upTo: string | null, person: string | null = null) =>
    (await one<{ count: number }>(client, MARK, [ids, upTo, person])).count;
  const unread = async (owner: string) =>
    (
      await client.query<{ version: number }>(
        `select status_version as version from bookpost.notifications
         where user_id = $1 and read_at is null order by 1`,
        [owner],
      )
    ).rows.map(({ version }) => version);
  return { ann, ben, hers: await idsOf(ann), his: await idsOf(ben), mark, unread };
}

testRule(
  db,
  "of the ids only hers count, and each once",
  async (client) => {
    const { ann, ben, hers, his, mark, unread } = await hersAndHis(client);
    const ids = [hers[1], hers[1], his[0]].map(String);
    expect(await asMember(client, ann, () => mark(ids, null))).toBe(1);
    expect(await asMember(client, ann, () => mark(ids, null))).toBe(0);
    expect(await unread(ann)).toEqual([1, 3]);
    expect(await unread(ben)).toEqual([1, 2, 3]);
  },
  {
    "anybody's count": { function: MARKING, from: "n.user_id = v_person.id and", to: "" },
    "those read already count": { function: MARKING, from: "and n.read_at is null", to: "" },
  },
);

testRule(
  db,
  "up to a moment, all of hers until then are read, that one included, and no later one",
  async (client) => {
    const { ann, ben, mark, unread } = await hersAndHis(client);
    expect(await asMember(client, ann, () => mark(null, "2025-08-01 02:00Z"))).toBe(2);
    expect(await unread(ann)).toEqual([3]);
    expect(await unread(ben)).toEqual([1, 2, 3]);
  },
  {
    "that one is left out": { function: MARKING, from: "n.created_at <=", to: "n.created_at <" },
    "it is the other way round": {
      function: MARKING,
      from: "n.created_at <=",
      to: "n.created_at >=",
    },
  },
);

test("who may act for all names the person", async () => {
  const client = await rolledBack(db);
  const { ann, mark, unread } = await hersAndHis(client);
  expect(await mark(null, "2999-01-01", ann)).toBe(3);
  expect(await unread(ann)).toEqual([]);
  expect(await tryOut(client, MARK, [null, "2999-01-01", null])).toMatchObject({
    code: "BP404",
    message: "Nobody is named, and nobody is signed in.",
  });
});

test.each([
  ["neither", null, null],
  ["both", [], "2025-08-01"],
])("cannot be asked for %s of ids and moment", async (_, ids, upTo) => {
  const client = await rolledBack(db);
  const { ann } = await hersAndHis(client);
  expect(await tryOut(client, MARK, [ids, upTo, ann])).toMatchObject({ code: "BP400" });
});

test("the count of unread ones is read by its index", async () => {
  const client = await rolledBack(db);
  const { ann } = await hersAndHis(client);
  await client.query("set local enable_seqscan = off");
  const { rows } = await client.query(
    "explain select count(*)::integer from bookpost.notifications n where n.user_id = $1 and n.read_at is null",
    [ann],
  );
  expect(JSON.stringify(rows)).toContain("notifications_unread_idx");
});
