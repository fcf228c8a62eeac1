import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHANGE_HUB } from "../../src/graphql/limits.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { until } from "../helpers/until.ts";
import { openSocket, type TestSocket } from "./openSocket.ts";
import { type SeededBook, seedBook, seedUser } from "./seedBooks.ts";
import { signToken, startApiForTest } from "./startTestApi.ts";

const CHANGED = "subscription { changed { change { kind book { title } } } }";

let db: TestDatabase;
const people: Record<string, { id: string; token: string; book: SeededBook }> = {};

beforeAll(async () => {
  db = await createTestDatabase();
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
});

afterAll(() => db?.drop());

function person(name: "Ada" | "Ben") {
  const found = people[name];
  if (!found) throw new Error(`nobody is called ${name}`);
  return found;
}

/** A socket that listens already. */
async function listening(url: string, name: "Ada" | "Ben", query = CHANGED): Promise<TestSocket> {
  const socket = await openSocket(url);
  await socket.init(person(name).token);
  socket.subscribe(query);
  expect(await socket.event()).toEqual({ data: { changed: { change: null } } });
  return socket;
}

async function addBooks(name: "Ada" | "Ben", title: string, count = 1): Promise<void> {
  await db.pool.query(
    "insert into bookpost.books (owner_id, title) select $1, $2 from generate_series(1, $3::integer)",
    [person(name).id, title, count],
  );
}

describe("a client that is gone without a word", () => {
  it("is hung up on when it has not answered a ping by the next; who answers is heard of on", async () => {
    const webSocketLimits = { pingMs: 500, initMs: 60_000 };
    const api = await startApiForTest(db, { webSocketLimits });
    const answering = await listening(api.url, "Ada");
    const gone = await openSocket(api.url, { autoPong: false });
    // Not closed by a frame, but cut off: 1006 is what a client's own side makes of that.
    expect(await gone.closed).toEqual({ code: 1006, reason: "" });
    // By the second of these it would have been cut off as well.
    for (let pings = 0; pings < 3; pings++) await once(answering.socket, "ping");
    await addBooks("Ada", "Emma");
    expect(await answering.event()).toMatchObject({
      data: { changed: { change: { book: { title: "Emma" } } } },
    });
  });
});

describe("the process's WebSockets", () => {
  it("are refused where there are too many, until one is gone; requests are answered", async () => {
    const api = await startApiForTest(db, { webSocketLimits: { atOnce: 2 } });
    const first = await listening(api.url, "Ada");
    // One that has not said yet who it is counts as well.
    await openSocket(api.url);
    await expect(openSocket(api.url)).rejects.toMatchObject({ status: 503 });
    expect((await api.query("{ __typename }")).status).toBe(200);
    first.socket.close();
    const next = await until("there is room again", () => openSocket(api.url).catch(() => null));
    await next.init(person("Ben").token);
  });

  it.each([
    ["elsewhere", "/graphql2", {}, 404, "NOT_FOUND"],
    ["from a foreign page", "/graphql", { origin: "https://evil.example" }, 403, "FORBIDDEN"],
    ["that are too many", "/graphql", {}, 503, "UNAVAILABLE"],
  ])("%s are refused in the form of all refusals", async (_what, path, origin, status, code) => {
    const api = await startApiForTest(db, { webSocketLimits: { atOnce: 0 } });
    const request = httpRequest(`${api.url}${path}`, {
      headers: { ...origin, connection: "Upgrade", upgrade: "websocket" },
    });
    request.end();
    const [response] = await once(request, "response");
    let text = "";
    for await (const chunk of response) text += chunk;
    expect(response.statusCode).toBe(status);
    expect(JSON.parse(text)).toEqual({
      errors: [{ message: expect.any(String), extensions: { code } }],
    });
  });
});

describe("a client that does not read", () => {
  /** Fifteen times the parcel's text, 15 MB: far more than an operating system takes in for a socket that nobody reads. */
  const LONG = `subscription { changed { change { kind book { title } parcel { ${Array.from("abcdefghijklmno", (a) => `${a}: rawText`).join(" ")} } } } }`;
  const MEGABYTE = 2 ** 20;

  it("holds back its own events, not those of its owner's other one, and is told in place of what did not fit to read on", {
    timeout: 60_000,
  }, async () => {
    const api = await startApiForTest(db);
    const { token, book } = person("Ada");
    const slow = await listening(api.url, "Ada", LONG);
    const quick = await listening(api.url, "Ada");
    const { latestCursor } = (await api.query("{ latestCursor }", { token })).body.data;
    slow.socket.pause();
    await db.pool.query("update bookpost.parcels set raw_text = repeat('x', $1) where id = $2", [
      MEGABYTE,
      book.parcelId,
    ]);
    expect((await quick.event()).data.changed.change.kind).toBe("PARCEL");
    // Half of what may wait at a time, so that who reads never has too much waiting.
    for (let round = 0; round < 3; round++) {
      await addBooks("Ada", "One of many", CHANGE_HUB.waiting / 2);
      for (let n = 0; n < CHANGE_HUB.waiting / 2; n++)
        expect((await quick.event()).data.changed.change.book.title).toBe("One of many");
    }
    slow.socket.resume();
    await addBooks("Ada", "The last");
    const heard = [];
    while (heard.at(-1) !== "The last") {
      const { change } = (await slow.event()).data.changed;
      heard.push(change && (change.book?.title ?? change.kind));
    }
    expect(heard[0]).toBe("PARCEL");
    expect(heard).toContain(null);
    expect(heard.length).toBeLessThan(CHANGE_HUB.waiting * 1.5);

    const titles = [];
    for (let after = latestCursor, hasNextPage = true; hasNextPage; ) {
      const { body } = await api.query(
        "query ($after: String!) { changes(first: 100, after: $after) { nodes { book { title } } pageInfo { endCursor hasNextPage } } }",
        { token, variables: { after } },
      );
      titles.push(
        ...body.data.changes.nodes.map((n: { book: { title: string } }) => n.book?.title),
      );
      ({ endCursor: after, hasNextPage } = body.data.changes.pageInfo);
    }
    expect(titles.filter((title) => title === "One of many")).toHaveLength(
      CHANGE_HUB.waiting * 1.5,
    );
    expect(titles.at(-1)).toBe("The last");
  });
});
