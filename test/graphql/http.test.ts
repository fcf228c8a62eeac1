import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startApi } from "../../src/graphql/server.ts";
import { Secret } from "../../src/secret.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { until } from "../helpers/until.ts";
import { seedBook, seedUser } from "./seedBooks.ts";
import {
  JWT_SECRET,
  readAnswer,
  startApiForTest,
  startTestApi,
  TEST_ACCESS,
  type TestApi,
} from "./startTestApi.ts";

let db: TestDatabase;
/** In production, with a secret. */
let api: TestApi;
/** In development, without a secret: everybody on this machine is the operator. */
let open: TestApi;

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
  open = await startTestApi(db, { jwtSecret: null, isDevelopment: true });
});

afterAll(async () => {
  await api?.stop();
  await open?.stop();
  await db?.drop();
});

const QUESTION = JSON.stringify({ query: '{ carrier(code: "ups") { name } }' });
const ANSWER = { data: { carrier: { name: "UPS" } } };

async function get(url: string, init?: RequestInit) {
  return readAnswer(await fetch(url, init));
}

/** A POST with exactly these headers; `fetch` does not let one choose Host and Origin. */
async function post(url: string, headers: Record<string, string>, path = "/graphql") {
  const { port } = new URL(url);
  const request = httpRequest({
    host: "127.0.0.1",
    port,
    path,
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
  });
  request.end(QUESTION);
  const [response] = await once(request, "response");
  let text = "";
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode as number, text };
}

/** The code of a refusal, which is told in one form whoever refuses: one error, a sentence, and the code alone beside it. */
function codeOf(text: string): string {
  const { errors, ...rest } = JSON.parse(text);
  expect(rest).toEqual({});
  expect(errors).toEqual([
    { message: expect.stringMatching(/\S/), extensions: { code: expect.any(String) } },
  ]);
  return errors[0].extensions.code;
}

describe("a question", () => {
  it("is a POST of JSON", async () => {
    const headers = { "content-type": "application/json; charset=utf-8" };
    const answer = await get(`${api.url}/graphql`, { method: "POST", headers, body: QUESTION });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual(ANSWER);
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });

  it.each(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])(
    "cannot be a %s",
    async (method) => {
      const url = `${api.url}/graphql?query=${encodeURIComponent("{ carriers { totalCount } }")}`;
      const answer = await get(url, { method, headers: { accept: "text/html" } });
      expect(answer.status).toBe(405);
      if (method !== "HEAD") expect(codeOf(answer.text)).toBe("METHOD_NOT_ALLOWED");
      expect(answer.headers.get("allow")).toBe("POST");
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
      expect(answer.text).not.toMatch(/html|totalCount/);
    },
  );

  it.each([
    ["text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["multipart/form-data; boundary=x", 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["application/graphql", 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["", 400, "BAD_REQUEST"],
  ])("cannot be of type %s", async (type, status, code) => {
    const answer = await post(api.url, { "content-type": type });
    expect(answer.status).toBe(status);
    expect(codeOf(answer.text)).toBe(code);
    expect(answer.text).not.toContain("UPS");
  });

  it("cannot want an answer of another type", async () => {
    const answer = await post(api.url, { accept: "text/html" });
    expect(answer.status).toBe(406);
    expect(codeOf(answer.text)).toBe("NOT_ACCEPTABLE");
  });

  it.each([
    ["no JSON", "{"],
    ["a list of questions", `[${QUESTION},${QUESTION}]`],
    ["null", "null"],
    ["a document that is no text", '{"query":{}}'],
    ["variables that are a list", '{"query":"{ __typename }","variables":[]}'],
    ["nothing", ""],
  ])("cannot be %s", async (_what, body) => {
    const headers = { "content-type": "application/json" };
    const answer = await get(`${api.url}/graphql`, { method: "POST", headers, body });
    expect(answer.status).toBe(400);
    expect(codeOf(answer.text)).toBe("BAD_REQUEST");
  });

  it.each(["application/json", "application/graphql-response+json"])(
    "cannot name an operation that the document lacks, answered as %s",
    async (accept) => {
      const headers = { "content-type": "application/json", accept };
      const body = '{"query":"query a { __typename }","operationName":"b"}';
      const answer = await get(`${api.url}/graphql`, { method: "POST", headers, body });
      expect(codeOf(answer.text)).toBe("BAD_REQUEST");
    },
  );

  it("cannot have more than 50 kB, said beforehand or not", async () => {
    const body = JSON.stringify({ query: "{ __typename }", variables: { x: "x".repeat(50_000) } });
    const headers = { "content-type": "application/json" };
    const said = await get(`${api.url}/graphql`, { method: "POST", headers, body });
    expect(said.status).toBe(413);
    const chunks = new Blob([body]).stream();
    const unsaid = await get(`${api.url}/graphql`, {
      method: "POST",
      headers,
      body: chunks,
      duplex: "half",
    } as RequestInit);
    expect(unsaid.status).toBe(413);
    expect(codeOf(said.text)).toBe("BODY_TOO_BIG");
    expect(unsaid.body).toEqual(said.body);
    expect(unsaid.headers.get("connection")).toBe("close");
  });

  it("that would change to HTTP/2 is answered as it is", async () => {
    const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
    socket.write(
      "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    const [chunk] = await once(socket, "data");
    socket.destroy();
    expect(String(chunk)).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe("a path", () => {
  it.each([
    "/graphql/",
    "/graphql/stream",
    "//graphql",
    "/Graphql",
    "/%67raphql",
    "/x/../graphql/x",
    "/ruru-static/../../package.json",
    "/ruru-static/%2e%2e/%2e%2e/package.json",
    "/.env",
    "/",
    "*",
  ])("that is not ours has nothing in production: %s", async (path) => {
    const answer = await post(api.url, {}, path);
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text).errors[0].extensions.code).toBe("NOT_FOUND");
  });

  it("/ has a page for trying queries in development only, and its files", async () => {
    const page = await get(`${open.url}/`);
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toContain("text/html");
    const file = /\/ruru-static\/[^"]+\.js/.exec(page.text)?.[0];
    expect((await get(`${open.url}${file}`)).status).toBe(200);
    expect((await get(`${api.url}/`)).status).toBe(404);
    expect((await get(`${api.url}${file}`)).status).toBe(404);
  });

  it("/ruru-static/ leads nowhere else", async () => {
    for (const path of ["/ruru-static/../server.js", "/ruru-static/nothing.js"])
      expect((await post(open.url, {}, path)).status).toBe(404);
  });

  it("/health says whether the database answers", async () => {
    const healthy = await get(`${api.url}/health`);
    expect([healthy.status, healthy.body]).toEqual([200, { status: "ok" }]);
  });
});

describe("health", () => {
  it("is 503 when the database does not answer, and questions are told so", async () => {
    const lonely = await createTestDatabase();
    const itsApi = await startApiForTest(lonely);
    await lonely.drop();
    const sick = await get(`${itsApi.url}/health`);
    expect([sick.status, sick.body]).toEqual([503, { status: "unavailable" }]);
    const { body } = await itsApi.query("{ carriers { totalCount } }");
    expect(body.errors[0].extensions.code).toBe("UNAVAILABLE");
    expect(itsApi.log.join()).not.toContain("postgres://");
  });
});

describe("without a secret", () => {
  it("everybody on this machine is the operator", async () => {
    const { body } = await open.query("{ books { totalCount } }");
    expect(body).toEqual({ data: { books: { totalCount: 0 } } });
  });

  it.each(["0.0.0.0", "::", "192.0.2.1", "example.org", "127.1"])(
    "it does not listen on %s",
    async (host) => {
      const started = startApi({
        config: {
          host,
          port: 0,
          isDevelopment: true,
          jwtSecret: null,
          access: TEST_ACCESS,
          apiDatabaseUrl: null,
        },
        databaseUrl: db.url,
      });
      await expect(started).rejects.toMatchObject({
        code: "NO_JWT_SECRET",
        exitCode: 2,
        message: expect.stringContaining(`"${host}"`),
      });
    },
  );

  it("it listens on every name of this machine", async () => {
    for (const host of ["127.0.0.1", "localhost"]) {
      const one = await startApi({
        config: {
          host,
          port: 0,
          isDevelopment: true,
          jwtSecret: null,
          access: TEST_ACCESS,
          apiDatabaseUrl: null,
        },
        databaseUrl: db.url,
      });
      expect((await get(`${one.url}/health`)).status).toBe(200);
      await one.stop();
    }
  });

  it.each([
    ["evil.example", undefined],
    ["evil.example:5678", undefined],
    ["localhost.evil.example", undefined],
    ["127.0.0.1.evil.example", undefined],
    ["user@localhost", undefined],
    ["localhost/evil", undefined],
    ["192.0.2.1", undefined],
    ["localhost:5678", "http://evil.example"],
    ["localhost:5678", "http://localhost:1234"],
    ["localhost:5678", "https://localhost:5678"],
    ["localhost:5678", "null"],
  ])("a request for %s from the page %s is refused", async (host, origin) => {
    for (const path of ["/graphql", "/", "/health"]) {
      const answer = await post(open.url, { host, ...(origin && { origin }) }, path);
      expect(answer.status).toBe(403);
      expect(answer.text).not.toContain("UPS");
    }
  });

  it.each([
    ["localhost:5678", undefined],
    ["LOCALHOST", undefined],
    ["127.0.0.1:1", undefined],
    ["[::1]:5678", undefined],
    ["localhost:5678", "http://localhost:5678"],
  ])("a request for %s from the page %s is answered", async (host, origin) => {
    const answer = await post(open.url, { host, ...(origin && { origin }) });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, ANSWER]);
  });
});

describe("with a secret", () => {
  it("any name is answered, since nobody is anybody without a token", async () => {
    const answer = await post(api.url, { host: "books.example", origin: "https://books.example" });
    expect(answer.status).toBe(200);
  });
});

describe("starting and stopping", () => {
  const config = {
    host: "127.0.0.1",
    port: 0,
    isDevelopment: false,
    jwtSecret: new Secret(JWT_SECRET),
    access: TEST_ACCESS,
    apiDatabaseUrl: null,
  };

  it("a port that is taken is one sentence", async () => {
    const port = Number(new URL(api.url).port);
    await expect(
      startApi({ config: { ...config, port }, databaseUrl: db.url }),
    ).rejects.toMatchObject({
      code: "CANNOT_LISTEN",
      message: `Port ${port} is taken. Set PORT to another, or to 0 for any that is free.`,
    });
  });

  it("a database that is away or not migrated is one sentence, without a password", async () => {
    const nowhere = "postgres://someone:hunter2@127.0.0.1:1/nowhere";
    const away = await startApi({ config, databaseUrl: nowhere }).catch((e) => e);
    expect(away.code).toBe("DATABASE_UNREACHABLE");
    expect(String(away)).not.toContain("hunter2");
    const empty = new URL(db.adminUrl);
    empty.pathname = "/postgres";
    await expect(startApi({ config, databaseUrl: empty.href })).rejects.toMatchObject({
      code: "NOT_MIGRATED",
    });
  });

  it("the owner's login serves where the API has none, with the same rows hidden", async () => {
    const one = await startApi({ config, databaseUrl: db.url });
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ query: "{ books { totalCount } }" });
    const answer = await get(`${one.url}/graphql`, { method: "POST", headers, body });
    expect(answer.body.errors[0].extensions.code).toBe("FORBIDDEN");
    await one.stop();
  });

  it("a stop lets the question under way be answered, and takes no more", async () => {
    await db.pool.query(
      `create or replace function bookpost.parcels_tracking_page(parcel bookpost.parcels) returns text
       language plpgsql stable as $$ begin perform pg_advisory_xact_lock(7); return 'page'; end; $$`,
    );
    const owner = await seedUser(db.pool, "Ada");
    await seedBook(db.pool, { owner, title: "Ulysses", number: "1Z999AA10123456784" });
    const one = await startApiForTest(db, { jwtSecret: null });
    const holder = await db.pool.connect();
    await holder.query("begin; select pg_advisory_xact_lock(7)");
    const asked = one.query("{ parcels { nodes { trackingPage } } }");
    await until("the question waits in the database", async () => {
      const { rowCount } = await holder.query(
        "select from pg_locks where locktype = 'advisory' and objid = 7 and not granted",
      );
      return rowCount === 1;
    });
    const stopped = one.stop();
    await expect(one.query("{ __typename }")).rejects.toThrow();
    await holder.query("commit");
    holder.release();
    expect((await asked).body.data.parcels.nodes).toEqual([{ trackingPage: "page" }]);
    await stopped;
  });
});
