import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { decodeJwt, SignJWT } from "jose";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Client, createClient } from "../../docs/example/client.ts";
import {
  LatestCursor,
  MarkRead,
  MyBooks,
  Notifications,
  TrackBook,
} from "../../docs/example/documents.ts";
import { sendToken } from "../../docs/example/expressRoute.ts";
import { type Change, followChanges } from "../../docs/example/followChanges.ts";
import { makeToken } from "../../docs/example/makeToken.ts";
import { myBooksRoute } from "../../docs/example/nextRoute.ts";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { startApiProcess } from "../harness/procs.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { dispatchNow } from "../helpers/dispatchNow.ts";
import { offsetTime } from "../helpers/offsetTime.ts";
import { readAppGuide } from "../helpers/readAppGuide.ts";
import { readExample } from "../helpers/readExample.ts";
import { uniqueName } from "../helpers/uniqueName.ts";
import {
  carrierEnvironment,
  startWorkerProcess,
  type WorkerProcess,
} from "../helpers/workerProcess.ts";

// The example of docs/app.md as an app would run it: the real API and worker, in production, with the example's documents.

const SECRET = "the example's secret, 32 letters or more";
const NUMBER = "1Z999AA10123456784";

let db: TestDatabase;
let sandbox: Sandbox;
let worker: WorkerProcess;
let api: Awaited<ReturnType<typeof startApiProcess>>;
/** The app's own login, as docs/app.md makes it. */
let appLogin: string;
let appUrl: string;

beforeAll(async () => {
  db = await createTestDatabase();
  appLogin = uniqueName("app").toLowerCase();
  await run(
    db.adminUrl,
    { text: `create role ${appLogin} login password 'test'` },
    { text: `grant connect on database ${new URL(db.url).pathname.slice(1)} to ${appLogin}` },
    { text: (await readExample("grantApp.sql")).replace("my_app", appLogin) },
  );
  const url = new URL(db.url);
  Object.assign(url, { username: appLogin, password: "test" });
  appUrl = url.href;

  sandbox = await startSandbox();
  worker = await startWorkerProcess(db, carrierEnvironment(sandbox));
  api = await startExampleApi();
  for (const user of ["ada", "ben"]) await asApp("addUser.sql", user, user, null);
});

afterAll(async () => {
  await api?.stop();
  await worker?.stop();
  await sandbox?.close();
  const anotherDatabase = Object.assign(new URL(db.adminUrl), { pathname: "/postgres" });
  await db.drop();
  await run(anotherDatabase.href, { text: `drop role ${appLogin}` });
});

/** The API with the environment that docs/app.md names. */
function startExampleApi(more: Record<string, string> = {}) {
  return startApiProcess(db.url, {
    ...readAppGuide().environment,
    DATABASE_URL: db.url,
    API_DATABASE_URL: db.apiUrl,
    JWT_SECRET: SECRET,
    ...more,
  });
}

/** Runs statements one by one on a connection of their own. */
async function run(url: string, ...statements: pg.QueryConfig[]): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Runs one of the example's statements in a transaction of the app's own. */
async function asApp(file: string, ...values: unknown[]): Promise<void> {
  const text = await readExample(file);
  await run(appUrl, { text: "begin" }, { text, values }, { text: "commit" });
}

function clientOf(user: string): Client {
  return createClient({ url: api.graphqlUrl, getToken: () => makeToken(user, SECRET) });
}

/** Follows a user's changes for this test; `until` gives them all once one of them is as wanted. */
async function follow(client: Client) {
  const { latestCursor } = await client.ask(LatestCursor);
  const changes: Change[] = [];
  const waiting = new Set<() => void>();
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const stop = followChanges(client, {
    after: latestCursor,
    onPage(page) {
      changes.push(...page);
      for (const look of waiting) look();
    },
    onError: failed.reject,
  });
  onTestFinished(stop);
  return {
    changes,
    until(wanted: (change: Change) => boolean): Promise<unknown> {
      const seen = Promise.withResolvers<void>();
      const look = () => {
        if (changes.some(wanted)) seen.resolve();
      };
      waiting.add(look);
      look();
      return Promise.race([seen.promise, failed.promise]);
    },
  };
}

describe("the example client", () => {
  test("from nothing to a book that moves, is told of, and read", async () => {
    const ada = clientOf("ada");
    const ben = clientOf("ben");
    const herNews = await follow(ada);
    const hisNews = await follow(ben);

    // Before it is tracked: the worker asks the carrier at once.
    sandbox.script(NUMBER, { steps: [{ stage: "in_transit", at: offsetTime(50) }] });
    const { trackBook } = await ada.ask(TrackBook, {
      input: { title: "Emma", carrier: "ups", trackingNumber: NUMBER },
    });
    const bookId = trackBook?.book?.id;
    expect(trackBook?.warning).toBeNull();
    expect((await ada.ask(MyBooks)).books?.nodes).toMatchObject([
      { id: bookId, title: "Emma", currentParcel: { carrier: { name: "UPS" } } },
    ]);

    await dispatchNow(db);
    await herNews.until(({ parcel }) => parcel?.status === "IN_TRANSIT");
    await herNews.until(({ notification }) => notification !== null);
    expect((await ada.ask(MyBooks)).currentUser).toEqual({ unreadNotificationCount: 1 });

    const { notifications } = await ada.ask(Notifications);
    const told = notifications?.nodes ?? [];
    expect(told).toMatchObject([{ bookId, readAt: null, message: expect.stringMatching(/Emma/) }]);
    const { markNotificationsRead } = await ada.ask(MarkRead, { ids: told.map(({ id }) => id) });
    expect(markNotificationsRead).toEqual({ readCount: 1, unreadCount: 0 });
    await herNews.until(({ notification }) => typeof notification?.readAt === "string");

    // Ben follows too: when he hears of a book of his own, all before it has been told.
    await asApp("trackBook.sql", "ben", "Ulysses", "ups", "1Z999AA10123456799", "42");
    await hisNews.until(({ book }) => book?.title === "Ulysses");
    expect(hisNews.changes.filter((change) => change.bookId === bookId)).toEqual([]);
    expect(JSON.stringify(hisNews.changes)).not.toContain("Emma");
    expect((await ben.ask(Notifications)).notifications?.nodes).toEqual([]);
    expect((await ben.ask(MyBooks)).books?.nodes).toMatchObject([
      { appBookId: "42", title: "Ulysses" },
    ]);
  });

  test("an error has the API's code and sentence, and the field to blame", async () => {
    const refused = clientOf("ada").ask(TrackBook, {
      input: { title: " ", carrier: "ups", trackingNumber: NUMBER },
    });
    await expect(refused).rejects.toMatchObject({
      name: "ApiError",
      code: "BAD_INPUT",
      field: "title",
      message: expect.stringMatching(/title/),
    });
  });

  test("a text instead of an id is refused", async () => {
    const response = await fetch(api.graphqlUrl, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${await makeToken("ada", SECRET)}`,
      },
      body: JSON.stringify({ query: "{ books { nodes { title } } }" }),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: "UNKNOWN_DOCUMENT" } }],
    });
  });

  test("someone whom the app has not added, and a token of another secret, get an error and no data", async () => {
    const getToken = () => makeToken("ada", "another secret of 32 letters or more");
    const forged = createClient({ url: api.graphqlUrl, getToken });
    await expect(forged.ask(MyBooks)).rejects.toMatchObject({ code: "BAD_TOKEN" });
    await expect(clientOf("nobody").ask(MyBooks)).rejects.toMatchObject({ code: "BAD_TOKEN" });
  });

  test("a cursor that is none is told to who follows, and nothing more is asked", async () => {
    const error = await new Promise((resolve) => {
      onTestFinished(
        followChanges(clientOf("ada"), { after: "nonsense", onPage() {}, onError: resolve }),
      );
    });
    expect(error).toMatchObject({ name: "ApiError", code: "BAD_INPUT" });
  });
});

describe("the example's subscription", () => {
  test("hands over more than a page, each change once", async () => {
    const news = await follow(clientOf("ada"));
    await run(appUrl, {
      text: `insert into bookpost.books (owner_id, title)
             select u.id, 'Volume ' || n from bookpost.users u, generate_series(1, 250) n
             where u.app_user_id = 'ada'`,
    });
    await news.until(() => news.changes.length >= 250);
    const titles = news.changes.map(({ book }) => book?.title);
    expect(new Set(titles).size).toBe(250);
    expect(titles).toHaveLength(250);
  });

  test("goes on after its token's end, with a new one", async () => {
    const ending = await new SignJWT({ role: "bookpost_member" })
      .setProtectedHeader({ alg: "HS256" })
      .setSubject("ada")
      .setIssuedAt()
      .setExpirationTime("2 seconds")
      .sign(new TextEncoder().encode(SECRET));
    let given = 0;
    await new Promise<void>((resolve, reject) => {
      const client = createClient({
        url: api.graphqlUrl,
        getToken() {
          given += 1;
          return given === 1 ? ending : makeToken("ada", SECRET);
        },
      });
      // Each connection says first that it listens.
      const onWake = () => {
        if (given === 2) resolve();
      };
      onTestFinished(client.listen(onWake, reject));
    });
  });

  test("comes back by itself when the API was away, and tells what happened meanwhile", async () => {
    const ada = clientOf("ada");
    const news = await follow(ada);
    const before = api;
    const { port } = new URL(before.graphqlUrl);
    await before.stop();
    await asApp("trackBook.sql", "ada", "Sanditon", "ups", NUMBER, "8");
    api = await startExampleApi({ PORT: port });
    await news.until(({ book }) => book?.title === "Sanditon");
    // Its pauses grow to eight seconds within the first five attempts.
  }, 90_000);
});

describe("the example's routes", () => {
  test("give a token to who is signed in to the app, and to nobody else", async () => {
    const getUserId = async (request: { headers: { cookie?: string | undefined } }) =>
      request.headers.cookie ?? null;
    const server = createServer(sendToken(getUserId, SECRET)).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    const url = await new Promise<string>((resolve) => {
      server.once("listening", () =>
        resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
      );
    });
    expect((await fetch(url)).status).toBe(401);
    const token = await (await fetch(url, { headers: { cookie: "ada" } })).text();
    expect(decodeJwt(token)).toMatchObject({ sub: "ada", role: "bookpost_member" });
    const client = createClient({ url: api.graphqlUrl, getToken: () => token });
    expect((await client.ask(MyBooks)).currentUser).not.toBeNull();
  });

  test("answer with the books of who is signed in", async () => {
    await asApp("trackBook.sql", "ada", "Persuasion", "ups", NUMBER, "7");
    const route = myBooksRoute({
      url: api.graphqlUrl,
      secret: SECRET,
      getUserId: async (request) => request.headers.get("x-user"),
    });
    expect((await route(new Request("http://app.example/my-books"))).status).toBe(401);
    const request = new Request("http://app.example/my-books", { headers: { "x-user": "ada" } });
    expect(await (await route(request)).json()).toEqual({
      books: expect.arrayContaining([
        expect.objectContaining({ title: "Persuasion", appBookId: "7" }),
      ]),
      unread: expect.any(Number),
    });
  });
});
