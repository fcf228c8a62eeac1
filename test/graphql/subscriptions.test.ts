import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "graphql-ws";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { TIMEOUT_MS } from "../../src/graphql/limits.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { openClient } from "../helpers/openClient.ts";
import { until } from "../helpers/until.ts";
import { openSocket, type TestSocket } from "./openSocket.ts";
import { type SeededBook, seedBook, seedUser } from "./seedBooks.ts";
import {
  JWT_SECRET,
  signToken,
  startApiForTest,
  startTestApi,
  type TestApi,
} from "./startTestApi.ts";

let db: TestDatabase;
let api: TestApi;
/** Listens for Ben from the beginning to the end. */
let oldest: TestSocket;
let oldestSince: number;
const people: Record<string, { id: string; token: string; book: SeededBook }> = {};

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
  for (const [name, number] of [
    ["Ada", "1Z999AA10123456784"],
    ["Ben", "1Z999AA10123456799"],
  ] as const) {
    const id = await seedUser(db.pool, name);
    people[name] = {
      id,
      token: await signToken("bookpost_member", id),
      book: await seedBook(db.pool, { owner: id, title: `${name}'s book`, number }),
    };
  }
  oldest = await openSocket(api.url, { outlivesTest: true });
  await oldest.init(person("Ben").token);
  oldest.subscribe(CHANGED);
  oldestSince = performance.now();
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

function person(name: "Ada" | "Ben") {
  const found = people[name];
  if (!found) throw new Error(`nobody is called ${name}`);
  return found;
}

const CHANGED =
  "subscription ($kinds: [ChangeKind!]) { changed(kinds: $kinds) { change { kind bookId book { title author } parcel { rawText } notification { id } } } }";

/** A socket that listens already: it has had its first event, which says so. */
async function listening(
  token: string,
  options: { url?: string; kinds?: string[] } = {},
): Promise<TestSocket> {
  const socket = await openSocket(options.url ?? api.url);
  await socket.init(token);
  socket.subscribe(CHANGED, "1", { kinds: options.kinds ?? null });
  expect(await socket.event()).toEqual({ data: { changed: { change: null } } });
  return socket;
}

/** Ends the connection that listens, as a restart or a network would. */
async function endListening(): Promise<void> {
  const client = await openClient(db.adminUrl);
  const { rowCount } = await client.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bookpost changes' and datname = current_database()",
  );
  expect(rowCount).toBeGreaterThan(0);
}

async function setAuthor(name: "Ada" | "Ben", author: string): Promise<void> {
  await db.pool.query("update bookpost.books set author = $1 where id = $2", [
    author,
    person(name).book.bookId,
  ]);
}

describe("a subscriber", () => {
  it("hears of her own changes, read anew, and of nobody else's", async () => {
    const ada = await listening(person("Ada").token);
    const ben = await listening(person("Ben").token);
    await setAuthor("Ben", "Joyce");
    await setAuthor("Ada", "Woolf");
    for (const [socket, name, author] of [
      [ada, "Ada", "Woolf"],
      [ben, "Ben", "Joyce"],
    ] as const)
      expect(await socket.event()).toEqual({
        data: {
          changed: {
            change: {
              kind: "BOOK",
              bookId: person(name).book.bookId,
              book: { title: `${name}'s book`, author },
              parcel: null,
              notification: null,
            },
          },
        },
      });
    await setAuthor("Ada", "Austen");
    // The next that Ada hears is this one: nothing of Ben's came in between.
    expect((await ada.event()).data.changed.change.book.author).toBe("Austen");
  });

  it("hears only of the kinds she named", async () => {
    const ada = await listening(person("Ada").token, { kinds: ["PARCEL"] });
    await setAuthor("Ada", "Dickens");
    await db.pool.query("update bookpost.parcels set raw_text = 'here' where id = $1", [
      person("Ada").book.parcelId,
    ]);
    expect(await ada.event()).toMatchObject({
      data: { changed: { change: { kind: "PARCEL", parcel: { rawText: "here" }, book: null } } },
    });
  });

  it("may be an operator, who hears of everybody", async () => {
    const operator = await listening(await signToken("bookpost_operator"));
    await setAuthor("Ada", "Eliot");
    await setAuthor("Ben", "Hardy");
    const titles = [];
    for (let i = 0; i < 2; i++)
      titles.push((await operator.event()).data.changed.change.book.title);
    expect(titles).toEqual(["Ada's book", "Ben's book"]);
  });

  it("is told null of what is no longer hers, and no word of what it became", async () => {
    const ada = await listening(person("Ada").token);
    const { id } = (
      await db.pool.query(
        "insert into bookpost.books (owner_id, title) values ($1, 'Lent') returning id",
        [person("Ada").id],
      )
    ).rows[0];
    expect((await ada.event()).data.changed.change.book.title).toBe("Lent");
    await db.pool.query("update bookpost.books set owner_id = $1, title = 'Stolen' where id = $2", [
      person("Ben").id,
      id,
    ]);
    expect((await ada.event()).data.changed.change).toMatchObject({ bookId: id, book: null });
    await db.pool.query("delete from bookpost.books where id = $1", [id]);
    await setAuthor("Ada", "Sterne");
    expect((await ada.event()).data.changed.change.book.author).toBe("Sterne");
  });

  it("who uses graphql-ws as its manual says is served", async () => {
    const client = createClient({
      url: `${api.url.replace("http", "ws")}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${person("Ada").token}` },
    });
    const events = client.iterate<{ changed: { change: { kind: string } | null } }>({
      query: "subscription { changed { change { kind } } }",
    });
    expect((await events.next()).value?.data?.changed.change).toBeNull();
    await setAuthor("Ada", "Swift");
    expect((await events.next()).value?.data?.changed.change).toEqual({ kind: "BOOK" });
    await client.dispose();
  });
});

describe("the connection that listens", () => {
  it("is made anew where it was lost, and nothing is lost with it", async () => {
    const ada = await listening(person("Ada").token);
    await endListening();
    await setAuthor("Ada", "Bell");
    expect((await ada.event()).data.changed.change.book.author).toBe("Bell");
    await setAuthor("Ada", "Gaskell");
    expect((await ada.event()).data.changed.change.book.author).toBe("Gaskell");
  });

  it("is there only while somebody subscribes", async () => {
    const count = async () => {
      const { rows } = await db.pool.query<{ count: number }>(
        "select count(*)::integer as count from pg_stat_activity where application_name = 'bookpost changes' and datname = current_database()",
      );
      return rows[0]?.count;
    };
    // One is `oldest`'s; those of the tests before may be leaving still.
    await until("one listens", async () => (await count()) === 1);
    const own = await startApiForTest(db);
    expect(await count()).toBe(1);
    const ada = await listening(person("Ada").token, { url: own.url });
    expect(await count()).toBe(2);
    ada.socket.close();
    await until("it has left", async () => (await count()) === 1);
  });

  it("takes a forged notification for what it is: a reason to look", async () => {
    const ada = await listening(person("Ada").token);
    const stranger = await openClient(db.url);
    for (const payload of ["", "junk", JSON.stringify({ userId: person("Ada").id, kind: "book" })])
      await stranger.query("select pg_notify('bookpost:changed', $1)", [payload]);
    await setAuthor("Ada", "Shelley");
    expect((await ada.event()).data.changed.change.book.author).toBe("Shelley");
  });

  it("tells everybody to read on where its cursor has expired", async () => {
    const ada = await listening(person("Ada").token);
    await db.pool.query("update bookpost_private.change_horizon set pruned_through = '8999999999'");
    await setAuthor("Ada", "Burney");
    expect(await ada.event()).toEqual({ data: { changed: { change: null } } });
    await db.pool.query("update bookpost_private.change_horizon set pruned_through = '0'");
  });
});

describe("a WebSocket", () => {
  const shortToken = (seconds: number) =>
    new SignJWT({ role: "bookpost_member" })
      .setProtectedHeader({ alg: "HS256" })
      .setSubject(person("Ada").id)
      .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
      .sign(new TextEncoder().encode(JWT_SECRET));

  it("is closed when its token ends, in the middle of a subscription", async () => {
    const ada = await listening(await shortToken(2));
    expect(await ada.closed).toEqual({ code: 4403, reason: "The token has expired." });
  });

  it.each([
    ["a token that is none", "nonsense", "The token is not valid here."],
    ["no token", undefined, "A WebSocket needs the token of someone signed in."],
  ])("with %s is closed", async (_what, token, reason) => {
    const socket = await openSocket(api.url);
    await expect(socket.init(token)).rejects.toThrow("4403");
    expect(await socket.closed).toEqual({ code: 4403, reason });
  });

  it("with a visitor's token is closed", async () => {
    const socket = await openSocket(api.url);
    await expect(socket.init(await signToken("bookpost_visitor"))).rejects.toThrow("4403");
  });

  it("may bring its token in the request's header", async () => {
    const socket = await openSocket(api.url, {
      headers: { authorization: `Bearer ${person("Ada").token}` },
    });
    await socket.init();
    socket.subscribe("subscription { changed { change { kind } } }");
    expect(await socket.event()).toEqual({ data: { changed: { change: null } } });
  });

  it("that says nothing is closed", async () => {
    const socket = await openSocket(api.url);
    expect((await socket.closed).code).toBe(4408);
  });

  it("that asks before it has said who it is is closed", async () => {
    const socket = await openSocket(api.url);
    socket.subscribe(CHANGED);
    expect((await socket.closed).code).toBe(4401);
  });

  it("of another protocol is closed", async () => {
    const socket = await openSocket(api.url, { protocol: "graphql-ws" }).catch((e) => e);
    expect(socket).toBeInstanceOf(Error);
  });

  it.each(["/", "/graphql2", "/health", "/graphql/"])("is not to be had at %s", async (path) => {
    await expect(openSocket(api.url, { path })).rejects.toMatchObject({ status: 404 });
  });

  it("with a frame that is too big is closed", async () => {
    const ada = await listening(person("Ada").token);
    ada.socket.send("x".repeat(50_001));
    expect((await ada.closed).code).toBe(1009);
  });

  it("with what is no message of the protocol is closed", async () => {
    const ada = await listening(person("Ada").token);
    ada.socket.send("{");
    expect((await ada.closed).code).toBe(4400);
  });

  it("has ten subscriptions and no more, and may end one for another", async () => {
    const ada = await listening(person("Ada").token);
    const query = "subscription { changed { change { kind } } }";
    for (let id = 2; id <= 10; id++) {
      ada.subscribe(query, String(id));
      expect(await ada.event()).toMatchObject({ data: { changed: { change: null } } });
    }
    ada.subscribe(query, "11");
    expect(await ada.next()).toMatchObject({
      type: "error",
      id: "11",
      payload: [{ extensions: { code: "TOO_MANY" } }],
    });
    ada.send({ type: "complete", id: "2" });
    ada.subscribe(query, "12");
    expect(await ada.next()).toMatchObject({ type: "next", id: "12" });
  });

  it("that floods is closed", async () => {
    const ada = await listening(person("Ada").token);
    for (let i = 0; i < 250; i++) ada.send({ type: "ping" });
    expect(await ada.closed).toMatchObject({ code: 4429 });
  });

  it("is refused to a user who has twenty, and given again when one is gone", async () => {
    const own = await startApiForTest(db);
    const open = async () => {
      const socket = await openSocket(own.url);
      await socket.init(person("Ben").token);
      return socket;
    };
    const sockets = await Promise.all(Array.from({ length: 20 }, open));
    const refused = await openSocket(own.url);
    await expect(refused.init(person("Ben").token)).rejects.toThrow("4429");
    const other = await openSocket(own.url);
    await other.init(person("Ada").token);
    sockets[0]?.socket.close();
    await until("there is room again", () => open().catch(() => false));
  });

  it.each([
    ["a query", "{ books { totalCount } }"],
    ["a query beside a subscription", `query a { latestCursor } ${CHANGED}`],
    [
      "a document that is too deep",
      "subscription { changed { change { book { parcels { nodes { books { nodes { parcels { nodes { books { nodes { id } } } } } } } } } } } }",
    ],
    ["an unknown field", "subscription { changed { nonsense } }"],
    [
      "two subscriptions in one",
      "subscription { a: changed { change { kind } } b: changed { change { kind } } }",
    ],
  ])("refuses %s, and goes on", async (what, query) => {
    const ada = await listening(person("Ada").token);
    ada.subscribe(query, "2");
    const refusal = await ada.next();
    expect(refusal).toMatchObject({ type: "error", id: "2" });
    expect(JSON.stringify(refusal)).toMatch(/BAD_DOCUMENT|DOCUMENT_TOO_BIG/);
    await setAuthor("Ada", what);
    expect((await ada.event()).data.changed.change.book.author).toBe(what);
  });
});

describe("a page that opens a WebSocket", () => {
  it.each([
    ["of this host", (url: string) => url, 101],
    ["of an origin that is allowed", () => "https://app.example", 101],
    ["of another", () => "https://evil.example", 403],
    ["of this host's name as a part of another", (url: string) => `${url}.evil.example`, 403],
    ["that does not say whose it is", () => "null", 403],
  ])("%s", async (_what, origin, status) => {
    const own = await startApiForTest(db, { allowedOrigins: ["https://app.example"] });
    const opened = openSocket(own.url, { headers: { origin: origin(own.url) } });
    if (status === 101) await (await opened).init(person("Ada").token);
    else await expect(opened).rejects.toMatchObject({ status });
  });

  it("without a secret is one of this machine, and everyone there is the operator", async () => {
    const own = await startApiForTest(db, { jwtSecret: null });
    const socket = await openSocket(own.url);
    await socket.init();
    socket.subscribe("subscription { changed { change { kind } } }");
    expect(await socket.event()).toEqual({ data: { changed: { change: null } } });
    const foreign: Record<string, string>[] = [
      { origin: "http://evil.example" },
      { host: "evil.example" },
    ];
    for (const headers of foreign)
      await expect(openSocket(own.url, { headers })).rejects.toMatchObject({ status: 403 });
  });
});

it("a stop says good-bye to those who listen, and leaves no connection", async () => {
  const own = await startTestApi(db);
  const ada = await listening(person("Ada").token, { url: own.url });
  await own.stop();
  expect(await ada.closed).toEqual({ code: 1001, reason: "The server is stopping." });
});

it("a subscription outlives the time that a query may take", async () => {
  // Most of it has passed in the tests before; only time can show this.
  const age = () => performance.now() - oldestSince;
  while (age() < TIMEOUT_MS.execution + 500) await sleep(100);
  await setAuthor("Ben", "Edgeworth");
  for (;;) {
    const { data, errors } = await oldest.event();
    expect(errors).toBeUndefined();
    if (data.changed.change?.book?.author === "Edgeworth") break;
  }
});

it("a subscription over HTTP is refused", async () => {
  const { body } = await api.query("subscription { changed { change { kind } } }", {
    token: person("Ada").token,
  });
  expect(body.errors).toMatchObject([{ extensions: { code: "BAD_DOCUMENT" } }]);
});
