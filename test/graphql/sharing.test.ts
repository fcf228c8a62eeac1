import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { type SeededBook, seedBook, seedUser } from "./seedBooks.ts";
import {
  readAnswer,
  signToken,
  startApiForTest,
  startTestApi,
  type TestApi,
} from "./startTestApi.ts";
import { statementsOf } from "./statementsOf.ts";

const PUBLIC_URL = "https://post.example";
const TITLE = "Ulysses";
const NUMBER = "1Z999AA10123456784";

let db: TestDatabase;
let api: TestApi;
let ann: string;
let ben: string;
let book: SeededBook;

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db, { access: { publicUrl: PUBLIC_URL } });
  const [annId, benId] = [await seedUser(db.pool, "Ann Archer"), await seedUser(db.pool, "Ben")];
  ann = await signToken("bookpost_member", annId);
  ben = await signToken("bookpost_member", benId);
  book = await seedBook(db.pool, { owner: annId, title: TITLE, number: NUMBER, events: 3 });
  await db.pool.query(
    "update bookpost.tracking_events set location = 'Leeds <b>&', local_time = occurred_at at time zone 'UTC', time_zone = 'UTC' where parcel_id = $1",
    [book.parcelId],
  );
  await db.pool.query(
    "update bookpost.parcels set status = 'in_transit', signed_by = 'A. Archer', sent_on = '2025-07-30', estimated_from = '2025-08-05', estimated_until = '2025-08-05', is_estimate_a_date = true where id = $1",
    [book.parcelId],
  );
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

const SHARE = `mutation ($input: ShareBookInput!) { shareBook(input: $input) {
  token url trackingLink { id expiresAt revokedAt book { title } parcel { trackingNumber } } } }`;
const REVOKE = `mutation ($id: UUID!) { revokeTrackingLink(input: { trackingLinkId: $id }) { trackingLink { id revokedAt } } }`;

async function share(token = ann, input: Record<string, unknown> = {}, to: TestApi = api) {
  const { body } = await to.query(SHARE, {
    token,
    variables: { input: { bookId: book.bookId, ...input } },
  });
  return body.data?.shareBook ?? body.errors[0].extensions.code;
}

async function open(token: string, headers: Record<string, string> = {}, method = "GET") {
  return readAnswer(
    await fetch(`${api.url}/t/${token}`, { method, headers: { accept: "text/html", ...headers } }),
  );
}

describe("sharing a book", () => {
  it("gives a link, its token and its address", async () => {
    const shared = await share();
    expect(shared).toEqual({
      token: expect.stringMatching(/^[\w-]{43}$/),
      url: `${PUBLIC_URL}/t/${shared.token}`,
      trackingLink: {
        id: expect.any(String),
        expiresAt: expect.any(String),
        revokedAt: null,
        book: { title: TITLE },
        parcel: { trackingNumber: NUMBER },
      },
    });
  });

  it("gives no address where the server was not told its own", async () => {
    const nameless = await startApiForTest(db);
    expect(await share(ann, {}, nameless)).toMatchObject({ url: null, token: expect.any(String) });
  });

  it.each([[1], [366], [null]])("for %s days", async (days) => {
    const { trackingLink } = await share(ann, { days });
    const lives = (Date.parse(trackingLink.expiresAt) - Date.now()) / 86_400_000;
    expect(lives).toBeGreaterThan((days ?? 30) - 0.1);
    expect(lives).toBeLessThanOrEqual(days ?? 30);
  });

  it.each([[0], [-1], [367], [2_147_483_647]])("cannot be for %s days", async (days) => {
    const input = { bookId: book.bookId, days };
    const { body } = await api.query(SHARE, { token: ann, variables: { input } });
    expect(body.errors).toMatchObject([
      {
        message: `days must be a whole number from 1 to 366; "${days}" is not.`,
        extensions: { code: "BAD_INPUT", field: "days", reason: "BAD_DAYS" },
      },
    ]);
  });

  it("cannot be another owner's doing, nor a visitor's", async () => {
    expect(await share(ben)).toBe("NOT_FOUND");
    expect(await share("")).toBe("FORBIDDEN");
    const { trackingLink } = await share();
    const { body } = await api.query(REVOKE, { token: ben, variables: { id: trackingLink.id } });
    expect(body.errors[0].extensions.code).toBe("NOT_FOUND");
  });

  it("is seen in the list of the book's links, without tokens, by its owner only", async () => {
    const { token, trackingLink } = await share();
    const list =
      "query ($id: UUID!) { book(id: $id) { trackingLinks(first: 100) { nodes { id createdAt } } } }";
    const mine = await api.query(list, { token: ann, variables: { id: book.bookId } });
    expect(mine.body.data.book.trackingLinks.nodes[0]).toMatchObject({ id: trackingLink.id });
    expect(mine.text).not.toContain(token);
    const his = await api.query(list, { token: ben, variables: { id: book.bookId } });
    expect(his.body).toEqual({ data: { book: null } });
    await db.pool.query("delete from bookpost.tracking_links");
  });
});

describe("whoever has the token", () => {
  it("sees the parcel by GraphQL without signing in", async () => {
    const { token } = await share();
    const text = `query ($token: String!) { sharedParcel(token: $token) { carrierName status estimatedUntil isEstimateADate lastScanAt lastScanLocation deliveredAt expiresAt } }`;
    const { body } = await api.query(text, { variables: { token } });
    expect(body.data.sharedParcel).toMatchObject({
      carrierName: "UPS",
      status: "IN_TRANSIT",
      estimatedUntil: "2025-08-05T00:00:00",
      isEstimateADate: true,
      lastScanAt: "2025-08-01T03:00:00+00:00",
      lastScanLocation: "Leeds <b>&",
      deliveredAt: null,
    });
    const wrong = await api.query(text, { variables: { token: "x".repeat(43) } });
    expect(wrong.body).toEqual({ data: { sharedParcel: null } });
  });

  it("sees a page that tells where it is, and nothing of whose it is or which", async () => {
    const { token } = await share();
    const page = await open(token);
    expect(page.status).toBe(200);
    expect(page.text).toContain("<h1>in transit</h1>");
    expect(page.text).toContain("<dt>Carrier</dt><dd>UPS</dd>");
    expect(page.text).toContain("<dt>Place</dt><dd>Leeds &lt;b&gt;&amp;</dd>");
    expect(page.text).toContain("<dt>Expected</dt><dd>Tue, 5 August 2025</dd>");
    expect(page.text).toMatch(/<dt>Last seen<\/dt><dd>Fri, 1 August 2025 at 03:00 UTC<\/dd>/);
    const json = await open(token, { accept: "application/json" });
    expect(json.body).toMatchObject({ status: "in_transit", lastScanLocation: "Leeds <b>&" });
    for (const { text } of [page, json]) {
      expect(text).not.toMatch(/Ulysses|1Z999|Archer/);
      expect(text).not.toContain(book.parcelId);
      expect(text).not.toContain(book.bookId);
      expect(text).not.toContain(token);
    }
  });

  it("gets a page that runs nothing, loads nothing, and is framed, kept and found by nobody", async () => {
    const { token } = await share();
    for (const answer of [
      await open(token),
      await open(token, { accept: "application/json" }),
      await open("x".repeat(43)),
    ]) {
      const { headers } = answer;
      expect(headers.get("content-security-policy")).toBe(
        "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
      );
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("x-robots-tag")).toContain("noindex");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("access-control-allow-origin")).toBeNull();
      expect(headers.get("set-cookie")).toBeNull();
      expect(answer.text).not.toMatch(/<script|<link|<img|<style|http/i);
    }
  });

  it("sees the delivery in place of the estimate", async () => {
    await db.pool.query(
      "update bookpost.parcels set status = 'delivered', delivered_at = '2025-08-04T10:00:00Z' where id = $1",
      [book.parcelId],
    );
    const { token } = await share();
    const { text } = await open(token);
    expect(text).toMatch(/<dt>Delivered<\/dt><dd>Mon, 4 August 2025 at 10:00 UTC<\/dd>/);
    expect(text).not.toContain("Expected");
    await db.pool.query(
      "update bookpost.parcels set status = 'in_transit', delivered_at = null where id = $1",
      [book.parcelId],
    );
  });
});

describe("a token that opens nothing", () => {
  it("is answered alike whether it is wrong, expired or revoked", async () => {
    const [expired, revoked] = [await share(), await share()];
    await db.pool.query(
      "update bookpost.tracking_links set created_at = now() - interval '2 days', expires_at = now() - interval '1 second' where id = $1",
      [expired.trackingLink.id],
    );
    const { body } = await api.query(REVOKE, {
      token: ann,
      variables: { id: revoked.trackingLink.id },
    });
    expect(body.data.revokeTrackingLink.trackingLink).toEqual({
      id: revoked.trackingLink.id,
      revokedAt: expect.any(String),
    });
    for (const accept of ["text/html", "application/json"]) {
      const answers = [];
      for (const token of ["x".repeat(43), expired.token, revoked.token]) {
        const { status, text, headers } = await open(token, { accept });
        const kept = [...headers].filter(([name]) => name !== "date");
        answers.push({ status, text, headers: kept });
      }
      expect(answers[0]?.status).toBe(404);
      expect(answers[1]).toEqual(answers[0]);
      expect(answers[2]).toEqual(answers[0]);
    }
  });

  it("costs the same statements, whichever it is", async () => {
    const [expired, revoked] = [await share(), await share()];
    await db.pool.query(
      "update bookpost.tracking_links set created_at = now() - interval '2 days', expires_at = now() - interval '1 second' where id = $1",
      [expired.trackingLink.id],
    );
    await api.query(REVOKE, { token: ann, variables: { id: revoked.trackingLink.id } });
    const costs = [];
    for (const token of ["x".repeat(43), expired.token, revoked.token])
      costs.push(await statementsOf(() => open(token)));
    expect(costs[0]?.join()).toContain("bookpost.shared_parcel");
    expect(costs[1]).toEqual(costs[0]);
    expect(costs[2]).toEqual(costs[0]);
  });

  it.each([
    "",
    "x",
    "x".repeat(42),
    "x".repeat(44),
    "%78".repeat(43),
    `${"x".repeat(42)}'`,
    `${"x".repeat(43)}/`,
    `../t/${"x".repeat(43)}`,
  ])("and has another form than tokens have is no page: %s", async (token) => {
    const { port } = new URL(api.url);
    const request = httpRequest({ host: "127.0.0.1", port, path: `/t/${token}` });
    request.end();
    const [response] = await once(request, "response");
    response.resume();
    expect(response.statusCode).toBe(404);
    expect(response.headers["content-type"]).toContain("json");
  });

  it.each(["POST", "PUT", "DELETE", "OPTIONS"])("nor is there a %s", async (method) => {
    const { status, headers } = await open("x".repeat(43), {}, method);
    expect([status, headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it("HEAD tells what GET would, without a body", async () => {
    const { token } = await share();
    const answer = await open(token, {}, "HEAD");
    expect([answer.status, answer.text]).toEqual([200, ""]);
    expect((await open("x".repeat(43), {}, "HEAD")).status).toBe(404);
  });
});

it("who tries many tokens is told to wait", async () => {
  const slow = await startApiForTest(db, {
    rateLimits: { visitor: 9, member: 9, operator: 9, page: 2 },
  });
  const look = (n: number) => fetch(`${slow.url}/t/${String(n).repeat(43)}`);
  expect([(await look(1)).status, (await look(2)).status, (await look(3)).status]).toEqual([
    404, 404, 429,
  ]);
});

it("a mutation counts four requests: the next ones find less left", async () => {
  const slow = await startApiForTest(db, {
    rateLimits: { visitor: 9, member: 9, operator: 9, page: 9 },
  });
  const ask = () => slow.query("{ __typename }", { token: ben });
  expect(await share(ben, {}, slow)).toBe("NOT_FOUND");
  expect(await share(ben, {}, slow)).toBe("NOT_FOUND");
  expect([(await ask()).status, (await ask()).status]).toEqual([200, 429]);
});

it("sharedParcel is one read for an app that asks for it, however many it asks for", async () => {
  const { token } = await share();
  const statements = await statementsOf(async () => {
    const { body } = await api.query(
      `{ a: sharedParcel(token: "${token}") { status } b: sharedParcel(token: "nobody's") { status } }`,
    );
    expect(body).toEqual({ data: { a: { status: "IN_TRANSIT" }, b: null } });
  });
  expect(statements).toEqual([
    expect.stringMatching(/^begin read only;/),
    expect.stringContaining("bookpost.shared_parcel"),
    "commit",
  ]);
});

it("mutations in a fragment count as five, the most that there may be", async () => {
  const slow = await startApiForTest(db, {
    rateLimits: { visitor: 16, member: 16, operator: 16, page: 16 },
  });
  const text =
    'mutation { ...five } fragment five on Mutation { a: setContact(input: { name: "a" }) { user { name } } b: setContact(input: { name: "b" }) { user { name } } }';
  expect((await slow.query(text, { token: ben })).body.data.b.user.name).toBe("b");
  expect((await slow.query("{ __typename }", { token: ben })).status).toBe(429);
});

it("a page whose statement takes too long is asked for again later, and no bug is logged", async () => {
  const api = await startApiForTest(db);
  const holder = await db.pool.connect();
  await holder.query("begin; lock table bookpost_private.tracking_link_tokens");
  const response = await fetch(`${api.url}/t/${"x".repeat(43)}`);
  await holder.query("rollback");
  holder.release();
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({
    errors: [{ extensions: { code: "UNAVAILABLE" } }],
  });
  expect(api.log).toEqual([]);
});
