import pg from "pg";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { createPool } from "../../src/db/pool.ts";
import { testDatabase } from "../helpers/testDatabase.ts";
import { type Faultline, startFaultline } from "./faultline.ts";

// The line as bookpost's own connections see it.

const db = testDatabase();
let line: Faultline;

beforeEach(async () => {
  line = await startFaultline(db.url);
  onTestFinished(() => line.close());
  await db.pool.query("drop table if exists marks; create table marks (id integer)");
});

async function connect(applicationName = "a test"): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: line.url(db.url),
    application_name: applicationName,
  });
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  return client;
}

const marks = async () => (await db.pool.query("select id from marks")).rows;

test("the connections of a pool are known by its purpose", async () => {
  const pool = createPool(line.url(db.url), "worker");
  onTestFinished(() => pool.end());
  await pool.query("select");
  await connect("a test");
  expect(line.connections.map(({ applicationName }) => applicationName)).toEqual([
    "bookpost worker",
    "a test",
  ]);
});

test("a fault for one application leaves the others alone, whoever connects first", async () => {
  const before = await connect("victim");
  line.add({ type: "reset_peer", timeout: 0 }, { applicationName: "victim" });
  const bystander = await connect("bystander");
  await expect(before.query("select")).rejects.toThrow();
  await expect(connect("victim")).rejects.toThrow();
  expect((await bystander.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
});

test("a commit whose answer is lost is in doubt for its caller and done", async () => {
  const client = await connect();
  await client.query("begin");
  await client.query("insert into marks values (1)");
  line.watch({ direction: "upstream", match: "commit" }, "forward_then_cut");
  await expect(client.query("commit")).rejects.toThrow();
  expect(await marks()).toEqual([{ id: 1 }]);
});

test("a commit that is lost itself is in doubt for its caller and undone", async () => {
  const client = await connect();
  await client.query("begin");
  await client.query("insert into marks values (1)");
  line.watch({ direction: "upstream", match: "commit" }, "cut");
  await expect(client.query("commit")).rejects.toThrow();
  expect(await marks()).toEqual([]);
});

test("a statement with parameters is found by its text, and waits for the action", async () => {
  const client = await connect();
  const watch = line.watch({ direction: "upstream", match: "insert into marks" }, async () => {
    expect(await marks()).toEqual([]);
    return "forward";
  });
  await client.query("insert into marks values ($1)", [2]);
  await watch.happened;
  expect(await marks()).toEqual([{ id: 2 }]);
});

test("whoever is in a blackhole waits for its own timeout, and its server waits too", async () => {
  const client = new pg.Client({ connectionString: line.url(db.url), query_timeout: 100 });
  client.on("error", () => {});
  await client.connect();
  const { rows } = await client.query("select pg_backend_pid() as pid");
  line.add({ type: "blackhole" });
  await expect(client.query("select")).rejects.toThrow("Query read timeout");
  await client.end().catch(() => {});
  const sessions = await db.pool.query("select state from pg_stat_activity where pid = $1", [
    rows[0].pid,
  ]);
  expect(sessions.rows).toEqual([{ state: "idle" }]);
});
