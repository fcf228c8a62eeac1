import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BYTES_PER_POINT } from "../../src/graphql/limits.ts";
import { createRateLimit } from "../../src/graphql/rateLimit.ts";
import { TooMany } from "../../src/graphql/refusal.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { seedUser } from "./seedBooks.ts";
import { type Answer, readAnswer, signToken, startApiForTest } from "./startTestApi.ts";

let db: TestDatabase;
let ann: string;
let ben: string;

beforeAll(async () => {
  db = await createTestDatabase();
  ann = await seedUser(db.pool, "Ann");
  ben = await seedUser(db.pool, "Ben");
});

afterAll(() => db?.drop());

const FEW = { visitor: 3, member: 4, operator: 5, page: 2 };
const QUESTION = "{ carriers { totalCount } }";

function expectRefusal({ status, headers, body }: Answer): void {
  expect(status).toBe(429);
  expect(body.errors[0].extensions).toEqual({ code: "RATE_LIMITED" });
  const seconds = Number(headers.get("retry-after"));
  expect(seconds).toBeGreaterThanOrEqual(1);
  expect(seconds).toBeLessThanOrEqual(60);
  expect(body.errors[0].message).toBe(`Too many requests. Ask again in ${seconds} seconds.`);
}

describe("a caller who asks too much in a minute", () => {
  it("is refused with the time to wait; others are not", async () => {
    const api = await startApiForTest(db, { rateLimits: FEW });
    const [anns, bens] = [
      await signToken("bookpost_member", ann),
      await signToken("bookpost_member", ben),
    ];
    for (let n = 0; n < FEW.member; n++)
      expect((await api.query(QUESTION, { token: anns })).status).toBe(200);
    expectRefusal(await api.query(QUESTION, { token: anns }));
    // A new token makes nobody another caller.
    expectRefusal(await api.query(QUESTION, { token: await signToken("bookpost_member", ann) }));
    expect((await api.query(QUESTION, { token: bens })).status).toBe(200);
    expect((await api.query(QUESTION)).status).toBe(200);
  });

  it("is an operator with a number of her own", async () => {
    const api = await startApiForTest(db, { rateLimits: FEW });
    const token = await signToken("bookpost_operator", ann);
    for (let n = 0; n < FEW.operator; n++)
      expect((await api.query(QUESTION, { token })).status).toBe(200);
    expectRefusal(await api.query(QUESTION, { token }));
  });

  it("is a visitor by his address, and bad tokens count as his; good ones from there pass", async () => {
    const api = await startApiForTest(db, { rateLimits: FEW });
    for (let n = 0; n < FEW.visitor; n++)
      expect((await api.query(QUESTION, { token: `guess ${n}`.replace(" ", "") })).status).toBe(
        401,
      );
    expectRefusal(await api.query(QUESTION, { token: "another" }));
    expectRefusal(await api.query(QUESTION));
    const token = await signToken("bookpost_member", ann);
    expect((await api.query(QUESTION, { token })).status).toBe(200);
  });

  it("cannot take another address by saying so, unless a proxy is there to say it", async () => {
    const ask = async (url: string, address: string) =>
      readAnswer(
        await fetch(`${url}/graphql`, {
          method: "POST",
          headers: { "content-type": "application/json", "x-forwarded-for": address },
          body: JSON.stringify({ query: QUESTION }),
        }),
      );
    const bare = await startApiForTest(db, { rateLimits: FEW });
    for (let n = 0; n < FEW.visitor; n++) await ask(bare.url, `192.0.2.${n}`);
    expectRefusal(await ask(bare.url, "192.0.2.200"));
    expectRefusal(await ask(bare.url, "192.0.2.201"));
    // Whoever has forgotten the proxy is told, once.
    expect(bare.log).toEqual([expect.stringContaining("set TRUST_PROXY=1")]);
    const behind = await startApiForTest(db, { rateLimits: FEW, access: { proxies: 1 } });
    for (let n = 0; n < FEW.visitor; n++)
      expect((await ask(behind.url, `203.0.113.${n}, 192.0.2.1`)).status).toBe(200);
    expectRefusal(await ask(behind.url, "203.0.113.99, 192.0.2.1"));
    expect((await ask(behind.url, "192.0.2.2")).status).toBe(200);
    expect(behind.log).toEqual([]);
  });

  it("has counted an answer by its size, too", async () => {
    const api = await startApiForTest(db, {
      rateLimits: { visitor: 9, member: 9, operator: 20, page: 9 },
    });
    const owner = await seedUser(db.pool, "Ursula");
    await db.pool.query(
      "insert into bookpost.books (owner_id, title, author) select $1, repeat('t', 500), repeat('a', 500) from generate_series(1, 100)",
      [owner],
    );
    const token = await signToken("bookpost_operator");
    const lists = Array.from(
      { length: 5 },
      (_, n) => `l${n}: books(first: 100) { nodes { title author } }`,
    );
    const { text } = await api.query(`{ ${lists.join(" ")} }`, { token });
    expect(text.length).toBeGreaterThan(5 * BYTES_PER_POINT);
    let answered = 1;
    while ((await api.query("{ __typename }", { token })).status === 200) answered++;
    // Five of the twenty went for its size.
    expect(answered).toBe(15);
  });

  it("is refused before a byte of the body is read", async () => {
    const api = await startApiForTest(db, { rateLimits: { ...FEW, visitor: 0 } });
    const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
    // The body is said to follow, and never does.
    socket.write(
      "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 40000\r\n\r\n",
    );
    const [chunk] = await once(socket, "data");
    socket.destroy();
    expect(String(chunk)).toMatch(/^HTTP\/1\.1 429 /);
  });

  it("is refused before the database is asked who it is", async () => {
    const lonely = await createTestDatabase();
    const api = await startApiForTest(lonely, {
      rateLimits: { ...FEW, member: 0 },
      access: { subject: "app_user_id" },
    });
    await lonely.drop();
    expectRefusal(await api.query(QUESTION, { token: await signToken("bookpost_member", ann) }));
  });

  it("does not make the health check fail", async () => {
    const api = await startApiForTest(db, { rateLimits: FEW });
    for (let n = 0; n < 10; n++) expect((await fetch(`${api.url}/health`)).status).toBe(200);
  });

  it("is one who opens the links of emails, too", async () => {
    const api = await startApiForTest(db, { rateLimits: FEW });
    const open = async () => readAnswer(await fetch(`${api.url}/unsubscribe/${ann}`));
    for (let n = 0; n < FEW.page; n++) expect((await open()).status).toBe(200);
    expectRefusal(await open());
  });
});

describe("the count", () => {
  const ONE = { visitor: 1, member: 1, operator: 1, page: 1 };

  it("takes a bounded number of places, however many callers there are", async () => {
    const limit = createRateLimit(ONE, 100);
    let refused = 0;
    for (let n = 0; n < 2_000; n++)
      await limit.take("visitor", `address ${n}`).catch((error) => {
        expect(error).toBeInstanceOf(TooMany);
        refused++;
      });
    // Each place lets one through: so there were as many places.
    expect(2_000 - refused).toBe(100);
  });

  it("puts nobody where somebody outside could foresee", async () => {
    const places = async () => {
      const limit = createRateLimit(ONE, 100);
      const met = [];
      for (let n = 0; n < 60; n++)
        met.push(
          await limit.take("visitor", `${n}`).then(
            () => "free",
            () => "taken",
          ),
        );
      return met.join();
    };
    expect(await places()).not.toBe(await places());
  });
});
