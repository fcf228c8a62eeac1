import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { startApi } from "../../src/graphql/server.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { dispatchNow } from "../helpers/dispatchNow.ts";
import { type OfficialServer, startOfficialServer } from "../helpers/officialServer.ts";
import { startWorkerProcess, type WorkerProcess } from "../helpers/workerProcess.ts";

// The road a newcomer takes, with bodies as the carriers document them: tracked
// on the command line, looked up by the stock worker, read back in three ways.

const ROOT = join(import.meta.dirname, "../..");
const run = promisify(execFile);

const UPS_NUMBER = "1Z999AA10123456784";

function readJson(path: string) {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** DHL's own sample where its folder is at hand, else ours in the same shape. */
function dhlBody() {
  const official = join(process.env.CARRIER_SAMPLES ?? "", "dhl/samples/in-transit.json");
  if (process.env.CARRIER_SAMPLES && existsSync(official)) return readJson(official).body;
  return readJson(join(ROOT, "test/fixtures/dhl/in_transit.json")).reply.body;
}

let db: TestDatabase;
let carriers: OfficialServer;
let worker: WorkerProcess;
let api: { readonly url: string; stop(): Promise<void> };
let environment: Record<string, string>;
const dhl = dhlBody();
const dhlNumber: string = dhl.shipments[0].id;

beforeAll(async () => {
  db = await createTestDatabase();
  carriers = await startOfficialServer({
    [UPS_NUMBER]: readJson(join(ROOT, "test/fixtures/ups/delivered.json")).reply.body,
    [dhlNumber]: dhl,
  });
  environment = {
    UPS_BASE_URL: `${carriers.url}/api`,
    UPS_CLIENT_ID: "id",
    UPS_CLIENT_SECRET: "secret",
    DHL_BASE_URL: carriers.url,
    DHL_API_KEY: "key",
  };
  worker = await startWorkerProcess(db, environment);
  const config = readConfig({ DATABASE_URL: db.url, API_DATABASE_URL: db.apiUrl, PORT: "0" });
  api = await startApi({ config, databaseUrl: db.url });
});

afterAll(async () => {
  await api?.stop();
  await worker?.stop();
  await carriers?.close();
  await db?.drop();
});

async function bookpost(...args: string[]) {
  const { stdout } = await run(
    process.execPath,
    [join(ROOT, "src/bin/bookpost.js"), ...args, "--json"],
    {
      env: { PATH: process.env.PATH, DATABASE_URL: db.url, ...environment },
    },
  );
  return JSON.parse(stdout);
}

interface Scan {
  readonly occurredAt: string | null;
  readonly localTime: string | null;
  readonly timeZone: string | null;
  readonly status: string | null;
  readonly description: string | null;
  readonly location: string | null;
}

interface AskedBook {
  readonly title: string;
  readonly parcels: {
    readonly nodes: readonly {
      readonly status: string;
      readonly deliveredAt: string | null;
      readonly signedBy: string | null;
      readonly trackingEvents: { readonly nodes: readonly Scan[] };
    }[];
  };
}

async function graphql(query: string): Promise<{ books: { nodes: readonly AskedBook[] } }> {
  const response = await fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query }),
  });
  const answer = (await response.json()) as { data: { books: { nodes: AskedBook[] } } };
  expect(answer).not.toHaveProperty("errors");
  return answer.data;
}

const QUERY = `{ books(first: 5) { nodes { title parcels(first: 5) { nodes {
  status deliveredAt deliveredLocalTime deliveredTimeZone signedBy
  carrier { code }
  trackingEvents(first: 100) { nodes { occurredAt localTime timeZone status rawCode description location } }
} } } } }`;

/** One event as all three must tell it: the instant as an instant, the wall clock as the carrier wrote it. */
function comparable(event: Scan) {
  const { occurredAt, localTime, timeZone, status, description, location } = event;
  return {
    occurredAt: occurredAt === null ? null : new Date(occurredAt).toISOString(),
    localTime: localTime?.replace(" ", "T").replace(/\.0+$/, "") ?? null,
    timeZone,
    status: status?.toLowerCase() ?? null,
    description,
    location,
  };
}

test("UPS and DHL parcels: show, SQL and GraphQL agree on status, scans, their times and the delivery", async () => {
  await bookpost("track", "ups", UPS_NUMBER, "--title", "Emma", "--sent-on", "2025-08-20");
  await bookpost("track", "dhl", dhlNumber, "--title", "Lalka", "--sent-on", "2023-01-01");
  await dispatchNow(db);

  const { books } = await graphql(QUERY);
  for (const [title, number] of [
    ["Emma", UPS_NUMBER],
    ["Lalka", dhlNumber],
  ] as const) {
    const { rows: parcels } = await db.pool.query(
      `select status, delivered_at as "deliveredAt", signed_by as "signedBy", id
       from bookpost.parcels where tracking_number = $1`,
      [number],
    );
    const { rows: events } = await db.pool.query(
      `select occurred_at as "occurredAt", to_char(local_time, 'YYYY-MM-DD"T"HH24:MI:SS') as "localTime",
         time_zone as "timeZone", status, description, location
       from bookpost.tracking_events where parcel_id = $1 order by sort_at, sort_rank`,
      [parcels[0].id],
    );
    const shown = (await bookpost("show", number)).parcels[0];
    const asked = books.nodes.find((book) => book.title === title)?.parcels.nodes[0];

    const inSql = events.map((event) =>
      comparable({ ...event, occurredAt: event.occurredAt?.toISOString() ?? null }),
    );
    expect(inSql.length).toBeGreaterThan(1);
    expect(shown.events.map(comparable)).toEqual(inSql);
    expect(asked?.trackingEvents.nodes.map(comparable)).toEqual(inSql);
    expect([shown.status, asked?.status.toLowerCase()]).toEqual([
      parcels[0].status,
      parcels[0].status,
    ]);
    const deliveredAt = parcels[0].deliveredAt?.toISOString() ?? null;
    expect(shown.deliveredAt && new Date(shown.deliveredAt).toISOString()).toEqual(deliveredAt);
    expect(asked?.deliveredAt ? new Date(asked.deliveredAt).toISOString() : null).toEqual(
      deliveredAt,
    );
    expect([shown.signedBy, asked?.signedBy]).toEqual([parcels[0].signedBy, parcels[0].signedBy]);
  }
});

test("UPS's delivery has the instant and the wall clock of the delivering scan", async () => {
  const parcel = (await bookpost("show", UPS_NUMBER)).parcels[0];
  expect(parcel).toMatchObject({
    status: "delivered",
    deliveredAt: "2025-08-26T15:44:34.000Z",
    deliveredTimeZone: "-07:00",
  });
  expect(parcel.deliveredLocalTime.replace(" ", "T")).toMatch(/^2025-08-26T08:44:34/);
  expect(parcel.closedReason).toBe("delivered");
});

test("DHL's times stay wall clocks without a zone, and its unknown code changes no status", async () => {
  const parcel = (await bookpost("show", dhlNumber)).parcels[0];
  expect(parcel.status).toBe("in_transit");
  for (const event of parcel.events)
    expect([event.occurredAt, event.timeZone]).toEqual([null, null]);
  expect(parcel.events.some((event: { status: string | null }) => event.status === null)).toBe(
    true,
  );
});

test("lookup asks the carrier alone and tells the same in one object", async () => {
  const answer = await bookpost("lookup", "ups", UPS_NUMBER);
  expect(answer).toMatchObject({
    outcome: "found",
    status: "delivered",
    deliveredAt: expect.stringMatching(/^2025-08-26T15:44:34/),
    error: null,
  });
  expect(answer.events.length).toBeGreaterThan(1);
  const unknown = await bookpost("lookup", "dhl", "1234567890");
  expect(unknown).toMatchObject({ outcome: "not_found", status: null, events: [] });
});
