import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { WEBSOCKETS } from "../../../src/graphql/limits.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { openSocket } from "../openSocket.ts";
import { seedUser } from "../seedBooks.ts";
import { signToken, startApiForTest, type TestApi } from "../startTestApi.ts";

let db: TestDatabase;
let userId: string;
let token: string;

beforeAll(async () => {
  db = await createTestDatabase();
  userId = await seedUser(db.pool, "Ada");
  token = await signToken("bookpost_member", userId);
});

afterAll(() => db?.drop());

/** A connection that does what it is told, and nothing that good manners ask for. */
function open(api: TestApi): Socket {
  const port = Number(new URL(api.url).port);
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  return socket;
}

const upgrade = (path: string) =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`;

/** Resolves when the other side has let go of a connection: what is sent there comes back as an error. */
async function untilLetGo(socket: Socket): Promise<void> {
  const gone = once(socket, "error");
  const knocking = setInterval(() => socket.write("x"), 50);
  onTestFinished(() => clearInterval(knocking));
  await gone.catch(() => {});
  clearInterval(knocking);
}

describe("WebSockets that do not say who they are", () => {
  it("keep their own address waiting, and nobody else", async () => {
    const api = await startApiForTest(db, { access: { proxies: 1 } });
    const from = (address: string) => ({ headers: { "x-forwarded-for": address } });
    const silent = await Promise.all(
      Array.from({ length: WEBSOCKETS.unnamedPerAddress }, () =>
        openSocket(api.url, from("192.0.2.1")),
      ),
    );
    await expect(openSocket(api.url, from("192.0.2.1"))).rejects.toMatchObject({ status: 429 });
    const elsewhere = await openSocket(api.url, from("192.0.2.2"));
    await elsewhere.init(token);
    // One that says it makes room.
    await silent[0]?.init(token);
    const next = await openSocket(api.url, from("192.0.2.1"));
    await next.init(token);
  });

  it("are cut off soon, also where they do not answer our good-bye", {
    timeout: 20_000,
  }, async () => {
    const api = await startApiForTest(db);
    const socket = open(api);
    socket.resume();
    socket.write(upgrade("/graphql"));
    await once(socket, "end");
    await untilLetGo(socket);
  });
});

it("a WebSocket that is refused is let go of, whether its client hangs up or not", async () => {
  const api = await startApiForTest(db);
  const socket = open(api);
  socket.write(upgrade("/elsewhere"));
  const [answer] = await once(socket, "data");
  expect(String(answer)).toMatch(/^HTTP\/1\.1 404 /);
  await untilLetGo(socket);
});
