import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { login } from "../../src/ops/embedded/login.ts";
import { pollUntil } from "../../src/ops/embedded/pollUntil.ts";
import { findEmbeddedPostgres, startEmbeddedPostgres } from "../../src/ops/embeddedPostgres.ts";

const isRoot = process.getuid?.() === 0;
const hasPsql = spawnSync("psql", ["--version"]).status === 0;

// A start takes a second here; on a machine that is busy or slow it is still right, only later.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
let root: string;
const children: ChildProcess[] = [];

function makeFolder(): void {
  // mkdtemp makes it 0700: as root, nobody else gets in, as in /root itself.
  folder = mkdtempSync(join(tmpdir(), "bookpost-embedded-"));
  root = join(folder, ".postgres");
}

const removeFolder = () => rmSync(folder, { recursive: true, force: true });

/** A test that has failed may leave some behind. */
async function endAll(): Promise<void> {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  if ((await findEmbeddedPostgres(root)) !== null) await (await start()).stop();
}

// Crashes of a process lose nothing that was written, synced or not; only a crash of the machine would.
const start = (options: { port?: number } = {}) =>
  startEmbeddedPostgres(root, { ...options, settings: { fsync: "off" } });

/** A starter in a process of its own, which can be killed. */
function startElsewhere(env: NodeJS.ProcessEnv = {}): ChildProcess {
  const entry = join(import.meta.dirname, "../../src/ops/embeddedPostgres.ts");
  const script = `
    import { startEmbeddedPostgres } from ${JSON.stringify(entry)};
    await startEmbeddedPostgres(${JSON.stringify(root)}, { settings: { fsync: "off" } });
    console.log("up");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return child;
}

/** What it prints first; the empty string when it ends without a word. */
function firstWords(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.stdout?.once("data", (chunk) => resolve(String(chunk)));
    child.once("exit", () => resolve(""));
  });
}

async function killNow(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

const ask = <T>(url: string, sql: string) =>
  login(url, async (client) => (await client.query(sql)).rows[0] as T);

describe("where nothing was started before", () => {
  beforeEach(makeFolder);

  afterEach(async () => {
    await endAll();
    removeFolder();
  });

  test("the first start makes three logins, none but postgres a superuser, and a UTF-8 database", async () => {
    const server = await start();
    const who = `
      select current_user as login, current_database() as database, rolsuper as is_super
      from pg_roles where rolname = current_user`;
    expect(await ask(server.url, who)).toEqual({
      login: "bookpost",
      database: "bookpost",
      is_super: false,
    });
    expect(await ask(server.apiUrl, who)).toEqual({
      login: "bookpost_authenticator",
      database: "bookpost",
      is_super: false,
    });
    expect(await ask(server.adminUrl, who)).toEqual({
      login: "postgres",
      database: "postgres",
      is_super: true,
    });
    const database = `
      select pg_encoding_to_char(encoding) as encoding, datlocale, pg_get_userbyid(datdba) as owner,
        current_setting('data_checksums') as checksums
      from pg_database where datname = 'bookpost'`;
    expect(await ask(server.adminUrl, database)).toEqual({
      encoding: "UTF8",
      datlocale: "C.UTF-8",
      owner: "bookpost",
      checksums: "on",
    });
  });

  test("a locale that this machine does not have is no obstacle", async () => {
    const starter = startElsewhere({ LC_ALL: "xx_XX.UTF-8", LANG: "" });
    expect(await firstWords(starter)).toBe("up\n");
  });

  test("three starters at once on an empty folder share one server", async () => {
    const servers = await Promise.all([start(), start(), start()]);
    expect(new Set(servers.map(({ pid }) => pid)).size).toBe(1);
    expect(readdirSync(root).filter((name) => /lock|new/.test(name))).toEqual([]);
  });

  test("a starter killed during initdb leaves nothing that the next start cannot clear", async () => {
    const starter = startElsewhere();
    const begun = await pollUntil(
      async () => {
        const names = existsSync(root) ? readdirSync(root, { recursive: true }) : [];
        return names.some((name) => String(name).endsWith("PG_VERSION")) || undefined;
      },
      { patienceMs: 10_000, everyMs: 5 },
    );
    expect(begun).toBe(true);
    await killNow(starter);

    const server = await start();
    expect(await ask(server.url, "select 1 as one")).toEqual({ one: 1 });
    expect(readdirSync(root).filter((name) => /lock|new/.test(name))).toEqual([]);
  });

  test("half a cluster and the lock of a dead starter are cleared away", async () => {
    mkdirSync(join(root, "18.new"), { recursive: true });
    writeFileSync(join(root, "18.new", "PG_VERSION"), "18\n");
    const dead = spawnSync(process.execPath, ["-e", ""]);
    mkdirSync(join(root, "starting.lock"));
    writeFileSync(join(root, "starting.lock", `${dead.pid}-123456`), "");
    const server = await start();
    expect(await ask(server.url, "select 1 as one")).toEqual({ one: 1 });
    expect(readdirSync(root).filter((name) => /lock|new/.test(name))).toEqual([]);
  });

  test.skipIf(!isRoot)(
    "files of another user are refused with the way out (needs root)",
    async () => {
      mkdirSync(root);
      chownSync(root, 54_321, 54_321);
      await expect(start()).rejects.toMatchObject({
        code: "WRONG_OWNER",
        message: expect.stringMatching(/belongs to 54321, .*sudo chown -R root /),
      });
    },
  );

  test("nothing is found where nothing was ever started", async () => {
    expect(await findEmbeddedPostgres(root)).toBeNull();
    expect(existsSync(root)).toBe(false);
  });
});

// One folder for all: initdb takes longer than the rest.
describe("where one was started before", () => {
  beforeAll(async () => {
    makeFolder();
    await (await start()).stop();
  });

  afterEach(endAll);

  afterAll(removeFolder);

  test("the API's login has no power of its own and becomes only what a request may be", async () => {
    const { apiUrl } = await start();
    await expect(ask(apiUrl, "create temporary table t ()")).rejects.toThrow(/permission denied/);
    await expect(ask(apiUrl, "set role bookpost_worker")).rejects.toThrow(/permission denied/);
    await ask(apiUrl, "set role bookpost_visitor");
    await ask(apiUrl, "set role bookpost_member");
    await ask(apiUrl, "set role bookpost_operator");
  });

  test("nobody gets in without the password, not even from this machine", async () => {
    const server = await start();
    for (const password of ["", "postgres"]) {
      const url = new URL(server.adminUrl);
      url.password = password;
      await expect(ask(url.href, "select 1")).rejects.toThrow(/password/);
    }
    const rules = readFileSync(join(server.dataDirectory, "pg_hba.conf"), "utf8")
      .split("\n")
      .filter((line) => /^\w/.test(line));
    expect(rules.length).toBeGreaterThan(0);
    expect(rules.filter((line) => !line.endsWith("scram-sha-256"))).toEqual([]);
  });

  test("it listens on 127.0.0.1 only and has no socket file", async () => {
    const { adminUrl } = await start();
    const settings = `select current_setting('listen_addresses') as addresses,
      current_setting('unix_socket_directories') as sockets`;
    expect(await ask(adminUrl, settings)).toEqual({ addresses: "127.0.0.1", sockets: "" });
  });

  test("passwords are for their owner's eyes only and differ from login to login", async () => {
    const server = await start();
    for (const name of ["passwords.json", "pgpass"])
      expect([name, statSync(join(root, name)).mode & 0o777]).toEqual([name, 0o600]);
    const urls = [server.url, server.apiUrl, server.adminUrl];
    expect(new Set(urls.map((url) => new URL(url).password)).size).toBe(3);
  });

  test.skipIf(!hasPsql)("psql gets in by the pgpass file (needs psql)", async () => {
    const { port } = await start();
    const output = execFileSync(
      "psql",
      [
        "-w",
        "-h",
        "127.0.0.1",
        "-p",
        `${port}`,
        "-U",
        "bookpost",
        "-tAc",
        "select 'in'",
        "bookpost",
      ],
      { env: { ...process.env, PGPASSFILE: join(root, "pgpass") }, encoding: "utf8" },
    );
    expect(output).toBe("in\n");
  });

  test("the log keeps no row's contents and no statement", async () => {
    const { url } = await start();
    await ask(
      url,
      "create table people (phone text constraint people_phone_is_short check (false))",
    );
    await expect(ask(url, "insert into people values ('+441632960961')")).rejects.toThrow();
    const log = readFileSync(join(root, "postgres.log"), "utf8");
    expect(log).toContain("people_phone_is_short");
    expect(log).not.toContain("441632960961");
  });

  test("a second start gives the server that runs, and its stop stops it", async () => {
    const first = await start();
    const second = await start();
    expect(second.pid).toBe(first.pid);
    expect((await findEmbeddedPostgres(root))?.pid).toBe(first.pid);
    await second.stop();
    expect(await findEmbeddedPostgres(root)).toBeNull();
    await first.stop();
  });

  test("a server whose starter was killed is taken over, with a stop that works", async () => {
    const starter = startElsewhere();
    await firstWords(starter);
    const orphan = await findEmbeddedPostgres(root);
    await killNow(starter);
    const server = await start();
    expect(server.pid).toBe(orphan?.pid);
    await server.stop();
    expect(await findEmbeddedPostgres(root)).toBeNull();
  });

  test("a killed postmaster is replaced, and what was committed is still there", async () => {
    const first = await start();
    await ask(first.url, "create table kept as select 'kept' as word");
    process.kill(first.pid, "SIGKILL");
    const second = await start();
    expect(second.pid).not.toBe(first.pid);
    expect(await ask(second.url, "select word from kept")).toEqual({ word: "kept" });
  });

  test("a postmaster.pid whose pid is a stranger's now stops neither the start nor the stranger", async () => {
    const first = await start();
    const pidFile = join(first.dataDirectory, "postmaster.pid");
    const text = readFileSync(pidFile, "utf8");
    await first.stop();
    const stranger = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    children.push(stranger);
    writeFileSync(pidFile, text.replace(/^\d+/, String(stranger.pid)));

    expect(await findEmbeddedPostgres(root)).toBeNull();
    const second = await start();
    expect(await ask(second.url, "select 1 as one")).toEqual({ one: 1 });
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  });

  test("the port is kept from one start to the next, unless another program has it", async () => {
    const first = await start();
    await first.stop();
    const second = await start();
    expect(second.port).toBe(first.port);
    await second.stop();

    const rival = createServer().listen(first.port, "127.0.0.1");
    await once(rival, "listening");
    try {
      const third = await start();
      expect(third.port).not.toBe(first.port);
      await third.stop();
      await expect(start({ port: first.port })).rejects.toMatchObject({
        code: "PORT_TAKEN",
        message: expect.stringContaining(String(first.port)),
      });
    } finally {
      rival.close();
    }
  });

  test("passwords that are gone are named, not replaced by ones that do not work", async () => {
    await (await start()).stop();
    const path = join(root, "passwords.json");
    const passwords = readFileSync(path);
    rmSync(path);
    await expect(start()).rejects.toMatchObject({ code: "PASSWORDS_LOST" });
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, passwords, { mode: 0o600 });
  });
});
