import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { makeUser } from "../helpers/makeUser.ts";
import { trackBook } from "../helpers/trackBook.ts";
import { signToken, startTestApi, type TestApi } from "./startTestApi.ts";

let db: TestDatabase;
let api: TestApi;

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

const CHANGES = `query ($first: Int, $after: String) {
  changes(first: $first, after: $after) {
    nodes { kind bookId book { title } parcelId parcel { trackingNumber } notificationId notification { status } }
    edges { cursor node { kind changedAt userId } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;

/** Somebody with a token, and how she asks. */
async function makeMember() {
  const id = await makeUser(db.pool);
  const token = await signToken("bookpost_member", id);
  const ask = async (text: string, variables?: Record<string, unknown>) => {
    const { body } = await api.query(text, { token, variables });
    expect(body.errors).toBeUndefined();
    return body.data;
  };
  return { id, token, ask, latest: async () => (await ask("{ latestCursor }")).latestCursor };
}

describe("changes", () => {
  it("lead an app from its copy to now", async () => {
    const ada = await makeMember();
    const cursor = await ada.latest();
    const { bookId, parcelId, number } = await trackBook(db.pool, "ups", {
      owner: ada.id,
      title: "Ulysses",
    });
    const { changes } = await ada.ask(CHANGES, { after: cursor });
    const nothing = { notificationId: null, notification: null };
    expect(changes.nodes).toEqual([
      {
        kind: "BOOK",
        bookId,
        book: { title: "Ulysses" },
        parcelId: null,
        parcel: null,
        ...nothing,
      },
      {
        kind: "PARCEL",
        bookId: null,
        book: null,
        parcelId,
        parcel: { trackingNumber: number },
        ...nothing,
      },
    ]);
    expect(changes.edges[0]).toEqual({
      cursor: changes.pageInfo.startCursor,
      node: {
        kind: "BOOK",
        userId: ada.id,
        changedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)$/),
      },
    });
    expect(changes.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: false });
    expect(await ada.ask(CHANGES, { after: changes.pageInfo.endCursor })).toEqual({
      changes: {
        nodes: [],
        edges: [],
        pageInfo: {
          hasNextPage: false,
          hasPreviousPage: false,
          startCursor: null,
          endCursor: expect.any(String),
        },
      },
    });
  });

  it("come in pages, by the cursor of a page or of a change", async () => {
    const ada = await makeMember();
    await trackBook(db.pool, "ups", { owner: ada.id });
    await trackBook(db.pool, "ups", { owner: ada.id, title: "Another" });
    const all = (await ada.ask(CHANGES)).changes;
    expect(all.nodes.map((n: { kind: string }) => n.kind)).toEqual([
      "BOOK",
      "PARCEL",
      "BOOK",
      "PARCEL",
    ]);
    const page = (await ada.ask(CHANGES, { first: 3 })).changes;
    expect(page.nodes).toEqual(all.nodes.slice(0, 3));
    expect(page.pageInfo).toMatchObject({
      hasNextPage: true,
      endCursor: page.edges[2].cursor,
    });
    for (const [i, { cursor }] of all.edges.entries())
      expect((await ada.ask(CHANGES, { after: cursor })).changes.nodes).toEqual(
        all.nodes.slice(i + 1),
      );
  });

  it("are null where the thing is gone or another's, and the change is told", async () => {
    const [ada, ben] = [await makeMember(), await makeMember()];
    const lost = await trackBook(db.pool, "ups", { owner: ada.id });
    const given = await trackBook(db.pool, "ups", { owner: ada.id, title: "Given" });
    const cursor = await ada.latest();
    await db.pool.query("delete from bookpost.books where id = $1", [lost.bookId]);
    await db.pool.query("update bookpost.books set owner_id = $1 where id = $2", [
      ben.id,
      given.bookId,
    ]);
    const { nodes } = (await ada.ask(CHANGES, { after: cursor })).changes;
    expect(new Set(nodes.map((n: { bookId: string }) => n.bookId))).toEqual(
      new Set([null, lost.bookId, given.bookId]),
    );
    for (const node of nodes) expect(node).toMatchObject({ book: null, parcel: null });
  });

  it("are each one's own, by whatever cursor", async () => {
    const [ada, ben] = [await makeMember(), await makeMember()];
    await trackBook(db.pool, "ups", { owner: ada.id });
    const adas = (await ada.ask(CHANGES)).changes;
    for (const after of [null, adas.edges[0].cursor, adas.pageInfo.endCursor])
      expect((await ben.ask(CHANGES, { after })).changes.nodes).toEqual([]);
  });

  it("are read in one statement, and what they name in one more for each kind", async () => {
    const ada = await makeMember();
    for (let i = 0; i < 5; i++)
      await trackBook(db.pool, "ups", { owner: ada.id, title: `Book ${i}` });
    await ada.ask(CHANGES);
    const spy = vi.spyOn(pg.Client.prototype, "query");
    await ada.ask(CHANGES);
    const selects = spy.mock.calls
      .map(([first]) => (first as unknown as { text?: string }).text ?? String(first))
      .filter((text) => /^\s*select/i.test(text) && !text.includes("set_config"));
    spy.mockRestore();
    // Changes; books, parcels, notifications.
    expect(selects.length).toBeLessThanOrEqual(4);
  });

  it.each([
    ["a page that is too big", { first: 101 }, "BAD_INPUT"],
    ["a negative page", { first: -1 }, "BAD_INPUT"],
    ["a cursor that is none", { after: "nonsense" }, "BAD_INPUT"],
    [
      "a cursor of another server",
      { after: Buffer.from("1.1|3:3:").toString("base64url") },
      "CURSOR_EXPIRED",
    ],
  ])("refuse %s", async (_what, variables, code) => {
    const { token } = await makeMember();
    const { body } = await api.query(CHANGES, { token, variables });
    expect(body.errors).toMatchObject([{ extensions: { code } }]);
    if (code === "CURSOR_EXPIRED")
      expect(body.errors[0].extensions.hint).toContain("read everything anew");
  });

  it("count for the size of a document as the rows they may have", async () => {
    const { token } = await makeMember();
    const { body } = await api.query(
      "{ changes(first: 100) { nodes { book { parcels(first: 100) { nodes { trackingEvents(first: 100) { nodes { identity } } } } } } } }",
      { token },
    );
    expect(body.errors).toMatchObject([{ extensions: { code: "DOCUMENT_TOO_BIG" } }]);
  });

  it("are not for visitors, and neither is the cursor", async () => {
    for (const text of ["{ changes { nodes { kind } } }", "{ latestCursor }"]) {
      const { body } = await api.query(text);
      expect(body.data).toBeNull();
      expect(body.errors).toMatchObject([{ extensions: { code: "FORBIDDEN" } }]);
    }
  });
});
