import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { type ParsedMail, simpleParser } from "mailparser";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { fitsTwoSegments } from "../../src/notifications/templates/sms.ts";
import { webhookEvent } from "../../src/notifications/webhookEvent.ts";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import type { Step } from "../../src/sandbox/scenario.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { environmentOf, makeRoom } from "../faults/kills/run.ts";
import { makeDue } from "../helpers/ageing.ts";
import { ago } from "../helpers/ago.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { dispatchNow } from "../helpers/dispatchNow.ts";
import { one } from "../helpers/one.ts";
import { trackBook } from "../helpers/trackBook.ts";
import { uniqueName } from "../helpers/uniqueName.ts";
import { until } from "../helpers/until.ts";
import { startWorkerProcess, type WorkerProcess } from "../helpers/workerProcess.ts";
import { bookpost } from "./cli/bookpost.ts";

// The whole way, from a carrier's answer to the other side's hands, when the other side is down, slow, or refuses. Real
// lookups, a real worker, a real mail server; days pass by moving stored times back.

/** How the mail server behaves; each test sets its own. */
interface Manners {
  onConnect?: () => Error | undefined;
  /** With the whole message in hand: an error, or null for 250; "hang up" for no answer. */
  onMail?: (mail: ParsedMail) => Promise<Error | null | "hang up">;
}

interface Mailed {
  readonly to: string;
  readonly raw: string;
  readonly mail: ParsedMail;
}

let db: TestDatabase;
let sandbox: Sandbox;
let worker: WorkerProcess;
let smtp: SMTPServer;
let manners: Manners;
/** What the mail server has had whole in its hands, whatever it said of it. */
let mailed: Mailed[];
let connections: number;

beforeAll(async () => {
  db = await createTestDatabase();
  await makeRoom(db);
  sandbox = await startSandbox();
  smtp = await startMailServer();
  worker = await startWorkerProcess(db, {
    ...environmentOf(sandbox),
    ...sandbox.textEnvironment("twilio"),
    SMTP_URL: `smtp://127.0.0.1:${(smtp.server.address() as AddressInfo).port}`,
    PUBLIC_URL: "https://books.example.org",
    WEBHOOK_ALLOWED_NETWORKS: "127.0.0.0/8",
  });
  await until("email and texts can be sent", async () => {
    const sql = "select bool_and(is_configured) as all from bookpost_private.channels";
    return (await one<{ all: boolean }>(db.pool, sql)).all;
  });
}, 60_000);

afterAll(async () => {
  await worker?.stop();
  await new Promise<void>((done) => (smtp ? smtp.close(done) : done()));
  await sandbox?.close();
  await db?.drop();
});

beforeEach(async () => {
  // A test that has failed leaves nothing to the next.
  await db.pool.query("delete from bookpost_private.deliveries");
  await db.pool.query("delete from bookpost_private.routes");
  manners = {};
  mailed = [];
  connections = 0;
});

async function startMailServer(): Promise<SMTPServer> {
  const sockets = new Map<number, Socket>();
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    hideENHANCEDSTATUSCODES: true,
    onConnect(_session, done) {
      connections += 1;
      done(manners.onConnect?.());
    },
    async onData(stream, session, done) {
      const raw = await buffer(stream);
      const mail = await simpleParser(raw);
      for (const { address } of session.envelope.rcptTo)
        mailed.push({ to: address, raw: raw.toString("latin1"), mail });
      const answer = (await manners.onMail?.(mail)) ?? null;
      if (answer === "hang up") sockets.get(session.remotePort)?.destroy();
      else done(answer);
    },
  } as SMTPServerOptions);
  server.on("error", () => {});
  server.server.on("connection", (socket: Socket) => sockets.set(socket.remotePort ?? 0, socket));
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  return server;
}

const reply = (responseCode: number, message: string): Error =>
  Object.assign(new Error(message), { responseCode });

interface Reader {
  readonly id: string;
  readonly email: string;
}

async function addReader(more: { readonly name?: string; readonly phone?: string } = {}) {
  const email = `${uniqueName("reader")}@example.org`;
  const { id } = await one<{ id: string }>(
    db.pool,
    `insert into bookpost.users (email, name, phone_number, phone_verified_at, is_sms_wanted)
     values ($1, $2, $3, case when $3::text is not null then now() end, $3::text is not null) returning id`,
    [email, more.name ?? null, more.phone ?? null],
  );
  return { id, email } satisfies Reader;
}

let serial = 0;

/** Tracks a book of each reader; the carrier shows these scans, one at a time. */
async function track(
  readers: readonly Reader[],
  steps: readonly Partial<Step>[],
  title = "Emma",
): Promise<{ advance(): Promise<void> }> {
  const parcels: { parcelId: string; number: string }[] = [];
  for (const { id } of readers) {
    const number = `LX${String(++serial).padStart(9, "0")}FR`;
    sandbox.script(number, {
      steps: steps.map((step, i) => ({
        stage: "in_transit",
        at: ago(steps.length - i),
        ...step,
      })),
    });
    const { parcelId } = await trackBook(db.pool, "ups", { number, title, owner: id });
    parcels.push({ parcelId, number });
  }
  await dispatchNow(db);
  return {
    async advance() {
      for (const { number } of parcels) sandbox.advance(number);
      await makeDue(db.pool, ...parcels.map(({ parcelId }) => parcelId));
      await dispatchNow(db);
    },
  };
}

interface Delivery {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly attempt_count: number;
  readonly failure_count: number;
  readonly is_doubtful: boolean;
  readonly is_due: boolean;
  readonly last_error: string | null;
}

async function emailsTo(...readers: readonly Reader[]): Promise<Delivery[]> {
  const { rows } = await db.pool.query<Delivery>(
    `select id, state, reason, attempt_count, failure_count, is_doubtful, last_error, state = 'sending' or due_at <= now() as is_due
     from bookpost_private.deliveries where channel = 'email' and user_id = any ($1) order by created_at, id`,
    [readers.map(({ id }) => id)],
  );
  return rows;
}

/** `by` passes: what waits was made by so much earlier and is due, and no hold is in force any more. */
async function pass(by: string, ...readers: readonly Reader[]): Promise<void> {
  await db.pool.query("update bookpost_private.routes set not_before = null");
  const ids = readers.map(({ id }) => id);
  await db.pool.query(
    "update bookpost.notifications set created_at = created_at - $2::interval where user_id = any ($1)",
    [ids, by],
  );
  await db.pool.query(
    `with due as (
       update bookpost_private.deliveries set created_at = created_at - $2::interval, due_at = clock_timestamp()
       where user_id = any ($1) and state = 'queued' returning id
     )
     select bookpost_private.add_delivery_jobs(array_agg(id)) from due`,
    [ids, by],
  );
}

/** Waits until some of their emails wait for a later moment and none is being tried or could be. */
const waiting = (...readers: readonly Reader[]) =>
  until("no email is being tried, and some wait", async () => {
    const emails = await emailsTo(...readers);
    const open = emails.filter(({ state }) => state === "queued" || state === "sending");
    return open.length > 0 && open.every(({ is_due }) => !is_due);
  });

const ended = (...readers: readonly Reader[]) =>
  until("every email has come to its end", async () => {
    const emails = await emailsTo(...readers);
    return (
      emails.length > 0 &&
      emails.every(({ state }) => state !== "queued" && state !== "sending") &&
      emails
    );
  });

const mailsTo = ({ email }: Reader) => mailed.filter(({ to }) => to === email);

test("after days without a mail server everyone is told the present stage once, and few connections were tried meanwhile", {
  timeout: 60_000,
}, async () => {
  manners.onConnect = () => reply(421, "4.3.2 closing");
  const readers = await Promise.all(Array.from({ length: 8 }, () => addReader()));
  const books = await track(readers, [
    { stage: "in_transit" },
    { stage: "out_for_delivery" },
    { stage: "delivered" },
  ]);
  await waiting(...readers);
  // Five are sent at once (channels.queues), and the first that fails holds back all others.
  expect(connections).toBeLessThanOrEqual(5);
  for (const day of ["20 hours", "40 hours"]) {
    await books.advance();
    await waiting(...readers);
    const before = connections;
    await pass(day, ...readers);
    await waiting(...readers);
    expect(connections - before, `after ${day}`).toBeGreaterThan(0);
    expect(connections - before, `after ${day}`).toBeLessThanOrEqual(5);
  }
  expect(mailed).toEqual([]);

  manners = {};
  await pass("10 hours", ...readers);
  const emails = await ended(...readers);
  for (const reader of readers) {
    expect(mailsTo(reader).map(({ mail }) => mail.subject)).toEqual([
      "Your book 'Emma' has been delivered!",
    ]);
    expect((await emailsTo(reader)).map(({ state, reason }) => reason ?? state).toSorted()).toEqual(
      ["sent", "superseded", "superseded"],
    );
  }
  expect(emails.every(({ is_doubtful }) => !is_doubtful)).toBe(true);
});

test("a mail server that takes its time gets the message once", async () => {
  const { promise, resolve } = Promise.withResolvers<null>();
  manners.onMail = () => promise;
  const reader = await addReader();
  await track([reader], [{}]);
  await until("it has the message", async () => mailsTo(reader)[0]);
  expect(await emailsTo(reader)).toMatchObject([{ state: "sending", attempt_count: 1 }]);
  resolve(null);
  expect(await ended(reader)).toMatchObject([
    { state: "sent", attempt_count: 1, is_doubtful: false },
  ]);
  expect(mailsTo(reader)).toHaveLength(1);
});

test("a mail server that takes a message and breaks off before its answer gets it again, under the same id, and the message says that it may be there twice", async () => {
  let count = 0;
  manners.onMail = async () => (++count === 1 ? "hang up" : null);
  const reader = await addReader();
  await track([reader], [{}]);
  await waiting(reader);
  expect(await emailsTo(reader)).toMatchObject([{ failure_count: 1, is_doubtful: true }]);
  await pass("1 minute", reader);
  expect(await ended(reader)).toMatchObject([
    { state: "sent", attempt_count: 2, failure_count: 1, is_doubtful: true },
  ]);
  const [first, second, ...more] = mailsTo(reader);
  expect(more).toEqual([]);
  expect(second?.mail.messageId).toBe(first?.mail.messageId);
});

test("an email that is put off for ever is dead in the end: it is listed for a person, and one by hand brings it back", async () => {
  manners.onMail = async () => reply(452, "4.2.2 mailbox is full");
  const reader = await addReader();
  await track([reader], [{}]);
  await waiting(reader);
  const { max_failures: most } = await one<{ max_failures: number }>(
    db.pool,
    "select max_failures from bookpost_private.channels where channel = 'email'",
  );
  await db.pool.query(
    "update bookpost_private.deliveries set failure_count = $2 where user_id = $1",
    [reader.id, most - 1],
  );
  await pass("3 days", reader);
  const [email] = await ended(reader);
  expect(email).toMatchObject({ state: "dead", reason: "attempts_spent", failure_count: most });
  const { rows } = await db.pool.query(
    "select detail from bookpost_ops.needs_person where kind = 'dead_delivery' and what = $1",
    [`email message ${email?.id}`],
  );
  expect(rows).toEqual([{ detail: expect.stringContaining("mailbox is full") }]);
  const environment = { DATABASE_URL: db.url };
  const listed = await bookpost(["deliveries", "--dead"], environment);
  expect(listed.stdout).toContain(email?.id.slice(0, 8));

  manners = {};
  await bookpost(["deliveries", "retry", email?.id ?? ""], environment);
  expect(await ended(reader)).toMatchObject([{ state: "sent" }]);
});

test("an email that is refused for good is dead at once, and not tried again", async () => {
  manners.onMail = async () => reply(554, "5.7.1 not wanted here");
  const reader = await addReader();
  await track([reader], [{}]);
  expect(await ended(reader)).toMatchObject([
    { state: "dead", reason: "refused", attempt_count: 1 },
  ]);
  expect(mailsTo(reader)).toHaveLength(1);
});

test("who unsubscribes by the link while her email waits is sent nothing more", async () => {
  manners.onMail = async () => reply(452, "4.2.2 mailbox is full");
  const reader = await addReader();
  await track([reader], [{}]);
  await waiting(reader);
  const [, token] = /unsubscribe\/([0-9a-f-]{36})/.exec(mailsTo(reader)[0]?.mail.text ?? "") ?? [];
  await db.pool.query("select bookpost.unsubscribe($1)", [token]);
  manners = {};
  await pass("1 hour", reader);
  expect(await ended(reader)).toMatchObject([
    { state: "dropped", reason: "opted_out", attempt_count: 1 },
  ]);
  expect(mailsTo(reader)).toHaveLength(1);
});

/** What turns the direction of writing, breaks a line or a string, and is not seen. */
const UNSEEN = /[^\P{Cc}\n]|[\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/u;

test("hostile text of a carrier, an app and a person comes out inert by email, text message and webhook", async () => {
  const received: { bytes: Buffer; event: ReturnType<typeof webhookEvent.parse> }[] = [];
  let secret = "";
  const app = createServer(async (request, response) => {
    const bytes = await buffer(request);
    const verified = new Webhook(secret).verify(bytes, request.headers as Record<string, string>);
    received.push({ bytes, event: webhookEvent.parse(verified) });
    response.writeHead(204).end();
  });
  app.listen(0, "127.0.0.1");
  await once(app, "listening");
  try {
    const url = `http://127.0.0.1:${(app.address() as AddressInfo).port}/hooks`;
    const endpoint = await one<{ endpoint_id: string; secret: string }>(
      db.pool,
      "select * from bookpost.add_webhook($1)",
      [url],
    );
    ({ secret } = endpoint);
    const phone = "+447400123499";
    const hostile =
      '\u202e<script src="//evil.example/x.js">alert(1)</script>\r\nBcc: all@evil.example\r\n\r\n<img src=x onerror=alert(1)>\u0000 https://evil.example/login javascript:alert(1) tel:+19005550123 &lt;b&gt;';
    const reader = await addReader({
      name: 'Eve" <all@evil.example>,\r\nBcc: x@evil.example',
      phone,
    });
    await track(
      [reader],
      [{ stage: "exception", text: hostile, city: `${hostile}${"Aix ".repeat(256 * 1024)}` }],
      `Emma${hostile}`.replaceAll("\u0000", ""),
    );
    expect(await ended(reader)).toMatchObject([{ state: "sent" }]);
    const text = await until("the text has come", async () =>
      sandbox.texts.find(({ to }) => to === phone),
    );
    const hook = await until("the app is told", async () => received[0]);

    const [{ mail, raw, to }, ...more] = mailsTo(reader) as [Mailed, ...Mailed[]];
    expect(more).toEqual([]);
    expect(mailed.map((one) => one.to)).toEqual([to]);
    expect([...mail.headers.keys()]).not.toContain("bcc");
    expect([mail.to].flat().flatMap((one) => one?.value.map(({ address }) => address))).toEqual([
      reader.email,
    ]);
    expect(raw.length).toBeLessThan(20_000);
    expect(mail.subject).not.toMatch(/[\r\n]/);
    for (const shown of [mail.subject, mail.text, String(mail.html)]) {
      expect(shown).toContain("Emma");
      expect(shown).not.toMatch(UNSEEN);
      expect(shown).not.toMatch(
        /evil\.example|(https?|javascript|tel):\S*evil|javascript:\S|tel:\S/,
      );
    }
    expect(mail.html).not.toMatch(/<(script|img|b)\b/i);
    const links = [...String(mail.html).matchAll(/(?:href|src)="([^"]*)"/g)].map(([, it]) => it);
    for (const link of links)
      expect(link).toMatch(/^https:\/\/(books\.example\.org|www\.ups\.com)\//);

    expect(text.body).not.toMatch(UNSEEN);
    expect(text.body).not.toMatch(/evil\.example|javascript:\S|tel:\S/);
    expect(fitsTwoSegments(text.body)).toBe(true);

    expect(hook.bytes.length).toBeLessThan(20_000);
    const { data } = hook.event as { data: { detail: string; location: string } };
    // Plain text for whoever shows it to escape; on one line, and of a length.
    for (const told of [data.detail, data.location]) {
      expect(told).not.toMatch(UNSEEN);
      expect(told).not.toMatch(/\n/);
      expect(told.length).toBeLessThanOrEqual(500);
    }
    expect(data.detail).toContain("<script");
    await db.pool.query("select bookpost.disable_webhook($1)", [endpoint.endpoint_id]);
  } finally {
    app.closeAllConnections();
    app.close();
  }
});
