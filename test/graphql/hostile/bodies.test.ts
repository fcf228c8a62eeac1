import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { MAX_BODY_BYTES } from "../../../src/graphql/limits.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { until } from "../../helpers/until.ts";
import { seedBook, seedUser } from "../seedBooks.ts";
import {
  readAnswer,
  signToken,
  startApiForTest,
  startTestApi,
  type TestApi,
} from "../startTestApi.ts";

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

const HEAD = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

function open(to: Pick<TestApi, "url"> = api): Socket {
  const socket = connect(Number(new URL(to.url).port), "127.0.0.1");
  // Reset while we still send: that is what is tested.
  socket.on("error", () => {});
  return socket;
}

/** All that comes until the server ends it. */
async function untilClosed(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  if (!socket.closed) await once(socket, "close");
  return text;
}

async function othersAreAnswered(by: TestApi = api): Promise<void> {
  const { body } = await by.query('{ carrier(code: "ups") { name } }');
  expect(body).toEqual({ data: { carrier: { name: "UPS" } } });
}

describe("a body", () => {
  it("that says it is too big is refused before it comes, and the socket is closed", async () => {
    const socket = open();
    socket.write(`${HEAD}Content-Length: ${20 * 1024 * 1024}\r\n\r\n`);
    expect(await untilClosed(socket)).toMatch(/^HTTP\/1\.1 413 .*BODY_TOO_BIG/s);
  });

  it("without an end is refused at its 50,000th byte, and nothing of the rest is kept", async () => {
    const socket = open();
    const chunk = `${(10_000).toString(16)}\r\n${"x".repeat(10_000)}\r\n`;
    const before = process.memoryUsage.rss();
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    let sent = 0;
    const feed = () => {
      while (!socket.destroyed && sent < 100 * 1024 * 1024) {
        sent += chunk.length;
        if (!socket.write(chunk)) return void socket.once("drain", feed);
      }
    };
    const answered = once(socket, "data");
    feed();
    const [first] = await answered;
    expect(String(first)).toMatch(/^HTTP\/1\.1 413 /);
    await othersAreAnswered();
    socket.destroy();
    // 100 MB were on their way.
    expect(process.memoryUsage.rss() - before).toBeLessThan(80 * 1024 * 1024);
  });

  it("that is announced twice, in two ways, is refused: nothing can be smuggled in behind it", async () => {
    for (const framing of [
      "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
      "Content-Length: 5\r\nContent-Length: 6\r\n",
      "Transfer-Encoding: xchunked\r\n",
      "Content-Length: -1\r\n",
      "Content-Length: 0x10\r\n",
    ]) {
      const socket = open();
      socket.write(`${HEAD}${framing}\r\n0\r\n\r\nGET /health HTTP/1.1\r\n\r\n`);
      const text = await untilClosed(socket);
      expect(text).toMatch(/^HTTP\/1\.1 400 /);
      expect(text).not.toContain('"ok"');
    }
  });

  it("that is pressed together is refused, since nobody knows how big it is", async () => {
    const { gzipSync } = await import("node:zlib");
    const response = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", "content-encoding": "gzip" },
      body: gzipSync(JSON.stringify({ query: "{ __typename }", x: "0".repeat(10_000_000) })),
    });
    expect(response.status).toBe(400);
  });

  it.each([
    ["a number", "1"],
    ["a text", '"{ __typename }"'],
    ["25,000 lists in one another", "[".repeat(25_000)],
    ["as many that end", `${"[".repeat(20_000)}${"]".repeat(20_000)}`],
    ["an object's own words", '{"__proto__":{"query":"{ __typename }"}}'],
    ["bytes that are no text", Buffer.from([0xff, 0xfe, 0x00, 0x7b])],
    ["an operation that is not there", '{"query":"query a { __typename }","operationName":"b"}'],
    ["an operation's name that is no text", '{"query":"{ __typename }","operationName":{}}'],
    ["extensions that are no object", '{"query":"{ __typename }","extensions":"x"}'],
  ])("that is %s is refused in one sentence", async (_what, body) => {
    const response = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/graphql-response+json" },
      body,
    });
    expect(response.status).toBe(400);
    const { errors, data } = (await readAnswer(response)).body;
    expect(errors).toHaveLength(1);
    expect(data).toBeUndefined();
    expect(JSON.stringify(errors)).not.toMatch(/at .*\.[jt]s|node_modules|stack/);
  });

  it("just below the limit is read", async () => {
    const start = '{"query":"{ __typename }","variables":{"x":"';
    const body = `${start}${"x".repeat(MAX_BODY_BYTES - start.length - 3)}"}}`;
    expect(body).toHaveLength(MAX_BODY_BYTES);
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${api.url}/graphql`, { method: "POST", headers, body });
    expect(await response.json()).toEqual({ data: { __typename: "Query" } });
  });
});

describe("a client that takes its time", () => {
  it("is hung up on, whether it sends no headers, half of them, or half a body; others do not wait", async () => {
    const hasty = await startApiForTest(db, { timeouts: { receiveMs: 1_000 } });
    const starts = [
      "",
      "POST /graphql HTTP/1.1\r\nHost: loc",
      `${HEAD}Content-Length: 40\r\n\r\n{"query":`,
    ];
    const slow = Array.from({ length: 30 }, (_, n) => {
      const socket = open(hasty);
      socket.write(starts[n % starts.length] ?? "");
      return untilClosed(socket);
    });
    await othersAreAnswered(hasty);
    for (const text of await Promise.all(slow)) expect(text).toMatch(/^(HTTP\/1\.1 408 |$)/);
    await othersAreAnswered(hasty);
  });

  it("is hung up on where it does not take its answer, which waits in our memory", async () => {
    const hasty = await startApiForTest(db, { timeouts: { idleMs: 1_000 } });
    const owner = await seedUser(db.pool, "Ada");
    await seedBook(db.pool, { owner, title: "First", number: "1Z999AA10123456784" });
    await db.pool.query(
      `with added as (
         insert into bookpost.books (owner_id, title) select $1, repeat('t', 500) from generate_series(1, 60) returning id
       )
       insert into bookpost.parcel_books (book_id, parcel_id, owner_id) select a.id, p.id, $1 from added a, bookpost.parcels p`,
      [owner],
    );
    const titles = Array.from({ length: 12 }, (_, n) => `t${n}: title`).join(" ");
    const query = `{ books(first: 60) { nodes { parcels(first: 1) { nodes { books(first: 60) { nodes { ${titles} } } } } } } }`;
    const token = await signToken("bookpost_member", owner);
    expect((await hasty.query(query, { token })).text.length).toBeGreaterThan(20e6);
    const body = JSON.stringify({ query });
    const socket = connect({ host: "127.0.0.1", port: Number(new URL(hasty.url).port) });
    socket.on("error", () => {});
    socket.pause();
    const ours = new Promise<Socket>((resolve) => {
      const take = (message: unknown) => {
        const { socket: accepted } = message as { socket: Socket };
        if (accepted.remotePort === socket.localPort) resolve(accepted);
      };
      subscribe("net.server.socket", take);
      onTestFinished(() => void unsubscribe("net.server.socket", take));
    });
    socket.write(
      `${HEAD}Authorization: Bearer ${token}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const held = await ours;
    await until("the answer waits", async () => held.writableLength > 0);
    await once(held, "close");
    await othersAreAnswered();
  });
});
