import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { makeKey, signWith, startKeySetServer } from "./keySetServer.ts";
import { openSocket } from "./openSocket.ts";
import { seedUser } from "./seedBooks.ts";
import { signToken, startApiForTest } from "./startTestApi.ts";

const CHANGED = "subscription { changed { change { kind } } }";
const LISTENS = { data: { changed: { change: null } } };

let db: TestDatabase;
let folder: string;
let token: string;
let userId: string;

beforeAll(async () => {
  db = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), "bookpost-documents-"));
  userId = await seedUser(db.pool, "Ada");
  token = await signToken("bookpost_member", userId);
});

afterAll(async () => {
  await db?.drop();
  await rm(folder, { recursive: true, force: true });
});

it("with a list of documents a WebSocket answers those by their ids, and no text", async () => {
  const path = join(folder, "documents.json");
  await writeFile(path, JSON.stringify({ changed: CHANGED }));
  const api = await startApiForTest(db, { access: { trustedDocuments: path } });
  const socket = await openSocket(api.url);
  await socket.init(token);
  socket.subscribe(CHANGED, "text");
  expect(await socket.event()).toMatchObject([{ extensions: { code: "UNKNOWN_DOCUMENT" } }]);
  socket.send({ type: "subscribe", id: "known", payload: { documentId: "changed", query: "" } });
  expect(await socket.event()).toEqual(LISTENS);
  socket.send({
    type: "subscribe",
    id: "apollo",
    payload: { query: CHANGED, extensions: { persistedQuery: { sha256Hash: "nothing" } } },
  });
  expect(await socket.event()).toMatchObject([{ extensions: { code: "UNKNOWN_DOCUMENT" } }]);
});

it("variables are no deeper over a WebSocket than over HTTP", async () => {
  const api = await startApiForTest(db);
  const socket = await openSocket(api.url);
  await socket.init(token);
  socket.subscribe(CHANGED, "1", { deep: JSON.parse(`${"[".repeat(500)}${"]".repeat(500)}`) });
  expect(await socket.event()).toMatchObject([{ extensions: { code: "BAD_INPUT" } }]);
});

it("sockets and their operations count as requests of the same caller", async () => {
  const rateLimits = { visitor: 9, member: 4, operator: 9, page: 9 };
  const api = await startApiForTest(db, { rateLimits });
  const socket = await openSocket(api.url);
  await socket.init(token);
  for (const id of ["1", "2", "3"]) {
    socket.subscribe(CHANGED, id);
    expect(await socket.event()).toEqual(LISTENS);
  }
  socket.subscribe(CHANGED, "4");
  expect(await socket.event()).toMatchObject([{ extensions: { code: "RATE_LIMITED" } }]);
  expect((await api.query("{ __typename }", { token })).status).toBe(429);
  const another = await openSocket(api.url);
  another.send({ type: "connection_init", payload: { authorization: `Bearer ${token}` } });
  expect(await another.closed).toMatchObject({ code: 4429 });
});

it("an identity provider that is away closes the socket as something that passes, a bad token for good", async () => {
  const key = await makeKey("k");
  const keySet = await startKeySetServer([key]);
  const access = { jwksUrl: keySet.url, issuer: "https://i.example/", audience: "bookpost" };
  const api = await startApiForTest(db, { jwtSecret: null, access });
  const claims = { iss: access.issuer, aud: "bookpost", role: "bookpost_member", sub: userId };
  const exp = Math.floor(Date.now() / 1000) + 60;
  const good = await signWith(key, { ...claims, exp });
  const close = async (said: string) => {
    const socket = await openSocket(api.url);
    socket.send({ type: "connection_init", payload: { authorization: `Bearer ${said}` } });
    return (await socket.closed).code;
  };
  keySet.trouble = { status: 500, body: "" };
  expect(await close(good)).toBe(1013);
  keySet.trouble = null;
  expect(await close(await signWith(key, { ...claims, exp, aud: "another" }))).toBe(4403);
  const socket = await openSocket(api.url);
  await socket.init(good);
});
