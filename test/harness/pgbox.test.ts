import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { processBirth } from "../../src/ops/embedded/processBirth.ts";
import { canStandby, canTinyDisk } from "./abilities.ts";
import { clearLeftoverBoxes } from "./boxFolder.ts";
import { type PgBox, startPgBox } from "./pgbox.ts";
import { descendantsOf } from "./processTree.ts";

let box: PgBox;

beforeAll(async () => {
  box = await startPgBox({ settings: { max_connections: "12" } });
  await box.query("create table marks (id integer)");
});

afterAll(() => box?.close());

/** A session that survives losing its connection, as a test wants it. */
async function openSession(url = box.adminUrl, options: pg.ClientConfig = {}) {
  const client = new pg.Client({ connectionString: url, ...options });
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  const pid = (await client.query("select pg_backend_pid() as pid")).rows[0].pid as number;
  // NOTE: not `once`, which an error ends, and one precedes the end of a broken session.
  const ended = new Promise((resolve) => client.once("end", resolve));
  return { client, pid, ended };
}

test("a box has the settings that were asked for, and fsync", async () => {
  const rows = await box.query(
    "select name, setting from pg_settings where name in ('fsync', 'max_connections') order by name",
  );
  expect(rows).toEqual([
    { name: "fsync", setting: "on" },
    { name: "max_connections", setting: "12" },
  ]);
});

test.each(["fast", "immediate", "crash"] as const)(
  "what was committed is there after a restart by %s stop, at the same address",
  async (mode) => {
    const { url, pid } = box;
    await box.query("truncate marks; insert into marks values (7)");
    await box.restart(mode);
    expect(box.url).toBe(url);
    expect(box.pid).not.toBe(pid);
    expect(await box.query("select id from marks")).toEqual([{ id: 7 }]);
  },
);

test("a crash leaves no process of the server behind", async () => {
  const all = [box.pid, ...descendantsOf(box.pid)];
  expect(all.length).toBeGreaterThan(3);
  await box.stop("crash");
  expect(await Promise.all(all.map(processBirth))).toEqual(all.map(() => null));
  await box.start();
});

test("a paused box lets nobody in, and answers what was asked meanwhile once it is resumed", async () => {
  const { client } = await openSession();
  box.pause();
  const asked = client.query("select 1 as one");
  const stranger = new pg.Client({ connectionString: box.url, connectionTimeoutMillis: 200 });
  stranger.on("error", () => {});
  await expect(stranger.connect()).rejects.toThrow("timeout");
  box.resume();
  expect((await asked).rows).toEqual([{ one: 1 }]);
});

test("a backend that is killed takes all sessions with it, and the box recovers by itself", async () => {
  const victim = await openSession();
  const other = await openSession();
  const { pid } = box;
  box.killBackend(victim.pid);
  await other.ended;
  await box.ready();
  expect(box.pid).toBe(pid);
  expect(await box.query("select id from marks")).toEqual([{ id: 7 }]);
});

test("a process that is not the box's is not killed", () => {
  expect(() => box.killBackend(process.pid)).toThrow("no backend of this box");
});

test("terminating ends the sessions that fit and leaves the others", async () => {
  const victim = await openSession(box.adminUrl, { application_name: "victim" });
  const other = await openSession(box.adminUrl, { application_name: "bystander" });
  expect(await box.terminate("application_name = 'victim'")).toEqual([victim.pid]);
  await victim.ended;
  expect((await other.client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
});

test("each migrated database of a box is its own", async () => {
  const first = await box.createMigratedDatabase();
  const second = await box.createMigratedDatabase();
  const books = "select count(*)::integer as books from bookpost.books";
  await first.pool.query("select bookpost.track_book('A book', 'ups', '1Z999AA10123456784')");
  expect((await first.pool.query(books)).rows).toEqual([{ books: 1 }]);
  expect((await second.pool.query(books)).rows).toEqual([{ books: 0 }]);
  await Promise.all([first.drop(), second.drop()]);
});

test("a closed box leaves neither process nor file", async () => {
  const short = await startPgBox();
  const all = [short.pid, ...descendantsOf(short.pid)];
  short.pause();
  await short.close();
  await short.close();
  expect(await Promise.all(all.map(processBirth))).toEqual(all.map(() => null));
  expect(existsSync(dirname(short.logFile))).toBe(false);
});

test("what a killed test process has left is cleared away, and what a living one has is not", async () => {
  const program = `
    const { startPgBox } = await import(${JSON.stringify(join(import.meta.dirname, "pgbox.ts"))});
    const box = await startPgBox();
    console.log(JSON.stringify([box.pid, box.logFile]));
    process.kill(process.pid, "SIGKILL");
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program]);
  const [output] = await once(child.stdout, "data");
  await once(child, "close");
  const [pid, logFile] = JSON.parse(String(output)) as [number, string];
  expect(await processBirth(pid)).not.toBeNull();

  await clearLeftoverBoxes();

  expect(await processBirth(pid)).toBeNull();
  expect(existsSync(dirname(logFile))).toBe(false);
  expect(await box.query("select 1 as one")).toEqual([{ one: 1 }]);
});

test.skipIf(!canStandby())(
  "a standby follows its primary, refuses writes, and takes them once it is promoted",
  async () => {
    const primary = await startPgBox({ server: "installed" });
    onTestFinished(() => primary.close());
    const standby = await primary.standby();
    await primary.query("create table marks as select 1 as id");
    await standby.catchUp();
    expect(await standby.query("select id from marks")).toEqual([{ id: 1 }]);
    await expect(standby.query("insert into marks values (2)")).rejects.toThrow(
      "read-only transaction",
    );
    await primary.stop("crash");
    await standby.promote();
    await standby.query("insert into marks values (2)");
    expect(await standby.query("select id from marks order by id")).toEqual([{ id: 1 }, { id: 2 }]);
  },
  // Chosen: two clusters with fsync took 4 s on a quiet machine and 20 s on a busy one.
  120_000,
);

test.skipIf(!canTinyDisk())(
  "a full disk refuses writes and still lets read, and takes the same writes once there is room",
  async () => {
    const tiny = await startPgBox({ diskMegabytes: 100 });
    onTestFinished(() => tiny.close());
    await tiny.query("create table marks as select 1 as id");
    const grow = () => tiny.query("insert into marks select generate_series(2, 10000)");
    tiny.fillDisk();
    await expect(grow()).rejects.toThrow("No space left on device");
    expect(await tiny.query("select id from marks")).toEqual([{ id: 1 }]);
    tiny.freeDisk();
    await grow();
    expect(await tiny.query("select max(id) from marks")).toEqual([{ max: 10000 }]);
  },
);
