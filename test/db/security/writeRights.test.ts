import { randomUUID } from "node:crypto";
import type { ClientBase } from "pg";
import { describe, expect, test } from "vitest";
import { apiClient } from "../../helpers/apiClient.ts";
import { asMember } from "../../helpers/asMember.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { openClient } from "../../helpers/openClient.ts";
import { tryOut } from "../../helpers/refusal.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { testRule } from "../../helpers/testRule.ts";
import { trackBook } from "../../helpers/trackBook.ts";

const db = testDatabase();

/** Ann and Ben with a book each; `carrier` is of this test alone. */
interface Scene {
  readonly ann: string;
  readonly ben: string;
  readonly annsBook: string;
  readonly bensBook: string;
  readonly carrier: string;
}

interface Call {
  /** With $1 for the book, or the person. */
  readonly sql: (scene: Scene) => string;
  /** What $1 is the id of, and how its absence is told. */
  readonly of: "book" | "user";
  /** Whether null, for the person, is who is signed in. */
  readonly isSelfByDefault?: true;
}

/** Every function that people write through, by its name. One that is missing here fails the next test. */
const CALLS: Readonly<Record<string, Call>> = {
  track_book: {
    of: "user",
    sql: ({ carrier }) =>
      `select bookpost.track_book('Emma', '${carrier}', 'RIGHTS123', owner => $1)`,
    isSelfByDefault: true,
  },
  correct_tracking_number: {
    of: "book",
    sql: () => "select bookpost.correct_tracking_number($1, 'RIGHTS456')",
  },
  refresh_book: { of: "book", sql: () => "select bookpost.refresh_book($1)" },
  stop_tracking: { of: "book", sql: () => "select bookpost.stop_tracking($1)" },
  share_parcel: { of: "book", sql: () => "select bookpost.share_parcel($1)" },
  mark_book: { of: "book", sql: () => "select bookpost.mark_book($1, 'delivered', 'because')" },
  mark_notifications_read: {
    of: "user",
    sql: () => "select bookpost.mark_notifications_read(up_to => now(), person => $1)",
    isSelfByDefault: true,
  },
  set_contact: {
    of: "user",
    sql: () => `select bookpost.set_contact($1, '{"phone_number": "+447400123456"}')`,
    isSelfByDefault: true,
  },
  set_notification_preferences: {
    of: "user",
    sql: () => `select bookpost.set_notification_preferences($1, '{"language": "de"}')`,
    isSelfByDefault: true,
  },
  opt_in: { of: "user", sql: () => "select bookpost.opt_in($1, 'email')", isSelfByDefault: true },
  opt_out: { of: "user", sql: () => "select bookpost.opt_out($1, 'email')", isSelfByDefault: true },
  request_phone_verification: {
    of: "user",
    sql: () => "select bookpost.request_phone_verification($1)",
    isSelfByDefault: true,
  },
  verify_phone_number: {
    of: "user",
    sql: () => "select bookpost.verify_phone_number($1, '123456')",
    isSelfByDefault: true,
  },
};

/** Whose rights a token is for, and no person's: anybody who has one may use it. */
const BY_TOKEN = ["revoke_tracking_link", "unsubscribe"];

async function setScene(): Promise<Scene> {
  const { code } = await makeApi(db.pool);
  const [ann, ben] = [await makeUser(db.pool), await makeUser(db.pool)];
  await db.pool.query(
    "update bookpost_private.channels set is_configured = true where channel = 'sms'",
  );
  await db.pool.query(
    "update bookpost.users set phone_number = '+4474' || lpad((random() * 1e8)::int::text, 8, '0') where id = any ($1)",
    [[ann, ben]],
  );
  const books = [
    await trackBook(db.pool, code, { owner: ann }),
    await trackBook(db.pool, code, { owner: ben }),
  ];
  return {
    ann,
    ben,
    annsBook: books[0]?.bookId ?? "",
    bensBook: books[1]?.bookId ?? "",
    carrier: code,
  };
}

const ANNS = (call: Call, scene: Scene) => (call.of === "book" ? scene.annsBook : scene.ann);

/** As the owner of the schemas, in a transaction that is not committed. */
async function ownerClient(): Promise<ClientBase> {
  const client = await openClient(db.url);
  await client.query("begin");
  return client;
}

test("every function of bookpost that changes something and that people may call is in this test", async () => {
  const { rows } = await db.pool.query<{ name: string }>(
    `select distinct p.proname as name from pg_proc p
     where p.pronamespace = 'bookpost'::regnamespace and p.provolatile = 'v'
       and exists (
         select from unnest(array['bookpost_visitor', 'bookpost_member', 'bookpost_operator', 'bookpost_authenticator']) r
         where has_function_privilege(r, p.oid, 'execute')
       )
     order by 1`,
  );
  expect(rows.map(({ name }) => name)).toEqual([...Object.keys(CALLS), ...BY_TOKEN].toSorted());
});

describe.each(Object.entries(CALLS))("%s", (_, call) => {
  /** As if there were none: the same code and the same sentence for what is another's and what is not there. */
  async function expectUnknown(client: ClientBase, scene: Scene, id: string): Promise<void> {
    expect(await tryOut(client, call.sql(scene), [id])).toMatchObject({
      code: "BP404",
      message: `There is no ${call.of} ${id}.`,
      hint: null,
    });
  }

  test("its owner may", async () => {
    const scene = await setScene();
    const client = await apiClient(db, { role: "bookpost_member", userId: scene.ann });
    expect(await tryOut(client, call.sql(scene), [ANNS(call, scene)])).toBeNull();
    if (call.isSelfByDefault) expect(await tryOut(client, call.sql(scene), [null])).toBeNull();
  });

  test("to another member, to one whom nobody knows and to one without a name it is as what is not there", async () => {
    const scene = await setScene();
    for (const userId of [scene.ben, randomUUID(), ""]) {
      const client = await apiClient(db, { role: "bookpost_member", userId });
      for (const id of [ANNS(call, scene), randomUUID()]) await expectUnknown(client, scene, id);
    }
  });

  test("a member whom nobody knows is told that there is no such user, by no foreign key", async () => {
    if (!call.isSelfByDefault) return;
    const scene = await setScene();
    const userId = randomUUID();
    const client = await apiClient(db, { role: "bookpost_member", userId });
    await expectUnknown(client, scene, userId);
    const left = await tryOut(client, call.sql(scene), [null]);
    expect(left).toMatchObject({ code: "BP404", message: `There is no user ${userId}.` });
  });

  test("a member is refused without waiting, however long the rows are locked", async () => {
    const scene = await setScene();
    const holder = await ownerClient();
    for (const table of [
      "bookpost.users",
      "bookpost.books",
      "bookpost.parcels",
      "bookpost_private.checks",
    ])
      await holder.query(`select from ${table} for update`);
    const client = await apiClient(db, { role: "bookpost_member", userId: scene.ben });
    await client.query("set local lock_timeout = '1ms'");
    await expectUnknown(client, scene, ANNS(call, scene));
  });

  test.each(["bookpost_visitor", undefined] as const)("%s may not call it", async (role) => {
    const scene = await setScene();
    const client = await apiClient(db, { ...(role && { role }), userId: scene.ann });
    for (const id of [ANNS(call, scene), randomUUID(), null])
      expect(await tryOut(client, call.sql(scene), [id])).toMatchObject({ code: "42501" });
  });

  test("an operator may for everybody, and for nobody who is not there", async () => {
    const scene = await setScene();
    for (const userId of [undefined, scene.ben, randomUUID()]) {
      const client = await apiClient(db, { role: "bookpost_operator", ...(userId && { userId }) });
      expect(await tryOut(client, call.sql(scene), [ANNS(call, scene)])).toBeNull();
      await expectUnknown(client, scene, randomUUID());
    }
  });

  test("so may a worker, the owner of the schemas and a superuser", async () => {
    const scene = await setScene();
    const worker = await ownerClient();
    await worker.query("set local role bookpost_worker");
    const superuser = await openClient(db.adminUrl);
    await superuser.query("begin");
    for (const client of [worker, await ownerClient(), superuser]) {
      expect(await tryOut(client, call.sql(scene), [ANNS(call, scene)])).toBeNull();
      await expectUnknown(client, scene, randomUUID());
    }
  });

  test("the owner of the schemas who has become a member has a member's rights and no more", async () => {
    const scene = await setScene();
    const client = await ownerClient();
    await client.query("select set_config('bookpost.user_id', $1, true)", [scene.ben]);
    await client.query("set local role bookpost_member");
    await expectUnknown(client, scene, ANNS(call, scene));
  });
});

test("a member's book goes to nobody else, whatever another owner has under the same ids", async () => {
  const scene = await setScene();
  await db.pool.query("update bookpost.books set app_book_id = 'b-1' where id = $1", [
    scene.annsBook,
  ]);
  const client = await apiClient(db, { role: "bookpost_member", userId: scene.ben });
  const { rows } = await client.query(
    "select id, owner_id from bookpost.track_book('Mine', $1, 'RIGHTS789', app_book_id => 'b-1')",
    [scene.carrier],
  );
  expect(rows).toEqual([{ id: expect.not.stringMatching(scene.annsBook), owner_id: scene.ben }]);
});

test("when a parcel was sent, its only owner can say, one of several cannot and is not told so", async () => {
  const { code } = await makeApi(db.pool);
  const [ann, ben] = [await makeUser(db.pool), await makeUser(db.pool)];
  const { parcelId, number } = await trackBook(db.pool, code, { owner: ann });
  const say = async (userId: string, day: string) => {
    const client = await apiClient(db, { role: "bookpost_member", userId });
    await client.query("select bookpost.track_book('x', $1, $2, sent_on => $3)", [
      code,
      number,
      day,
    ]);
    await client.query("commit");
    const { rows } = await db.pool.query(
      "select sent_on::text from bookpost.parcels where id = $1",
      [parcelId],
    );
    return rows[0].sent_on;
  };
  expect(await say(ann, "2025-08-01")).toBe("2025-08-01");
  expect(await say(ben, "2025-01-01")).toBe("2025-08-01");
  expect(await say(ann, "2025-07-30")).toBe("2025-08-01");
  await trackBook(db.pool, code, { owner: ann, number, sentOn: "2025-07-30" });
  expect(await say(ben, "2025-01-01")).toBe("2025-07-30");
});

testRule(
  db,
  "within a function that runs with its owner's rights it is still the member who asks",
  async (client) => {
    const { code } = await makeApi(client);
    const [ann, ben] = [await makeUser(client), await makeUser(client)];
    const { bookId } = await trackBook(client, code, { owner: ann });
    await asMember(client, ben, async () => {
      for (const [sql, id] of [
        ["select bookpost.stop_tracking($1)", bookId],
        ["select bookpost.opt_out($1, 'email')", ann],
      ] as const)
        expect(await tryOut(client, sql, [id])).toMatchObject({ code: "BP404" });
    });
    await asMember(client, ann, async () => {
      expect(await tryOut(client, "select bookpost.stop_tracking($1)", [bookId])).toBeNull();
      expect(await tryOut(client, "select bookpost.opt_out($1, 'email')", [ann])).toBeNull();
    });
  },
  {
    "the function's owner is taken for who asks": {
      function: "bookpost_private.may_act_for_all",
      from: "(current_setting('role'::text))::name",
      to: "CURRENT_USER",
    },
    "the login is taken for who asks": {
      function: "bookpost_private.may_act_for_all",
      from: "(current_setting('role'::text))::name",
      to: "SESSION_USER",
    },
    "nobody asks whose book it is": {
      function: "bookpost_private.own_book",
      from: " or not bookpost_private.may_act_for(v_book.owner_id)",
      to: "",
    },
    "nobody asks whose person it is": {
      function: "bookpost_private.own_user",
      from: " or not bookpost_private.may_act_for(v_id)",
      to: "",
    },
    "everybody is refused": {
      function: "bookpost_private.may_act_for",
      from: "current_user_id()",
      to: "null::uuid",
    },
  },
);

test.each([
  ["bookpost_visitor", false],
  ["bookpost_member", false],
  ["bookpost_operator", true],
  // It may become an operator, and is none by itself.
  [undefined, false],
] as const)("through the API's login, as %s, one may act for all: %s", async (role, may) => {
  await db.pool.query(
    `create or replace function public.may_i() returns boolean language sql security definer
     set search_path = pg_catalog, pg_temp return bookpost_private.may_act_for_all()`,
  );
  await db.pool.query("grant execute on function public.may_i() to public");
  const client = await apiClient(db, role ? { role } : {});
  expect((await client.query("select public.may_i() as may")).rows).toEqual([{ may }]);
});
