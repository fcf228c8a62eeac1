import type pg from "pg";
import { hasCode } from "../../src/ops/embedded/hasCode.ts";
import { launch } from "../../src/ops/embedded/launch.ts";
import { login } from "../../src/ops/embedded/login.ts";
import { createPasswords, type LOGINS, type Passwords } from "../../src/ops/embedded/passwords.ts";
import { disownPidFile, readPostmaster } from "../../src/ops/embedded/postmaster.ts";
import { prepareCluster } from "../../src/ops/embedded/prepareCluster.ts";
import { processBirth } from "../../src/ops/embedded/processBirth.ts";
import { cloneTemplate, prepareTemplate, type TestDatabase } from "../helpers/template.ts";
import { makeLogins } from "../helpers/testServer.ts";
import { until } from "../helpers/until.ts";
import { makeBoxFolder, removeBoxFolder } from "./boxFolder.ts";
import { type Cluster, copyCluster, makeCluster, type ServerKind } from "./cluster.ts";
import { descendantsOf, freezeTree, killTree, signalTo, thawTree } from "./processTree.ts";
import { fillDisk, freeDisk } from "./tinyDisk.ts";

/**
 * How a server ends. "smart": once everybody has left. "fast": sessions are
 * ended. "immediate": without a checkpoint; the next start recovers. "crash":
 * every process is killed at once, as by a power cut.
 */
export type StopMode = "smart" | "fast" | "immediate" | "crash";

/** Postgres's manual, "Shutting Down the Server". */
const STOP_SIGNALS = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;

/** A real Postgres of a test's own, to be broken. Its port stays the same over all stops and starts. */
export interface PgBox {
  readonly port: number;
  /** Login `bookpost`, database `bookpost`, which is empty: see `createMigratedDatabase`. */
  readonly url: string;
  /** Login `bookpost_authenticator`. */
  readonly apiUrl: string;
  /** The superuser, in the database `postgres`. */
  readonly adminUrl: string;
  /** The postmaster's; throws while the server is stopped. */
  readonly pid: number;
  /** The server's own log, for a test to show. */
  readonly logFile: string;
  /** Asks something as superuser, on a connection of its own. */
  query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>;
  /** A bookpost-migrated database. The first takes seconds, further ones are clones of one template. */
  createMigratedDatabase(): Promise<TestDatabase>;
  /** Waits until it lets people in, as after a recovery. */
  ready(): Promise<void>;
  /** Ends the server and waits until no process of it is left. */
  stop(mode: StopMode): Promise<void>;
  /** Starts it again and waits until it lets people in. `settings` replace those it had. */
  start(settings?: Settings): Promise<void>;
  restart(mode: StopMode): Promise<void>;
  /** Stops all its processes without ending them: connections stay open, nobody answers. */
  pause(): void;
  resume(): void;
  /** `kill -9` for one backend, by its pid: Postgres then ends all sessions and recovers: wait for the end of one before `ready`. Throws for a pid that is not this server's. */
  killBackend(pid: number): void;
  /** Ends the sessions for which a condition on pg_stat_activity holds. @returns their pids. */
  terminate(condition: string): Promise<number[]>;
  /** Leaves no byte free on its own disk. Only with `diskMegabytes`. */
  fillDisk(): void;
  /** Gives back what `fillDisk` took. */
  freeDisk(): void;
  /** A copy that follows this one, read-only until `promote`. Only of an "installed" server. */
  standby(): Promise<Standby>;
  /** Ends it and removes its files, and those of its databases' pools and standbys. May be called again. */
  close(): Promise<void>;
}

export interface Standby extends Omit<PgBox, "standby"> {
  /** Waits until it has replayed all that the primary has written so far. */
  catchUp(): Promise<void>;
  /** Makes it a primary, and waits until it takes writes. */
  promote(): Promise<void>;
}

export type Settings = Readonly<Record<string, string>>;

export interface PgBoxOptions {
  /** Server settings, such as max_connections; fsync is on unless it says otherwise. */
  readonly settings?: Settings;
  /** Left out: the embedded one. */
  readonly server?: ServerKind;
  /** The size of the disk it has to itself; at least 80, which an empty cluster needs. Ask canTinyDisk() first. */
  readonly diskMegabytes?: number;
}

/**
 * Starts a Postgres of its own, with bookpost's logins. Close it in `afterAll`.
 * When this process ends without, an exit handler ends the server and removes
 * its files; when this process is killed, the next test that makes a box does.
 */
export async function startPgBox(options: PgBoxOptions = {}): Promise<PgBox> {
  const { settings = {}, server = "embedded", diskMegabytes } = options;
  const home = await makeBoxFolder();
  const passwords = await createPasswords(home);
  const hasDisk = diskMegabytes !== undefined;
  try {
    const cluster = await makeCluster(home, server, passwords, diskMegabytes);
    const box = await openBox({ home, hasDisk, cluster, passwords, settings });
    if (server === "embedded") await prepareCluster(box.adminUrl, passwords);
    else {
      await makeLogins(box.adminUrl, passwords);
      await box.query("create database bookpost owner bookpost");
    }
    return box;
  } catch (error) {
    removeBoxFolder(home, hasDisk);
    throw error;
  }
}

interface BoxParts {
  readonly home: string;
  readonly hasDisk: boolean;
  readonly cluster: Cluster;
  readonly passwords: Passwords;
  readonly settings: Settings;
}

async function openBox(parts: BoxParts): Promise<PgBox> {
  const { home, hasDisk, cluster, passwords } = parts;
  const { dataDirectory } = cluster;
  let settings = parts.settings;
  let running: { readonly pid: number; readonly birth: string } | null = null;
  let port: number | undefined;
  let isMigrated = false;
  let isClosed = false;
  const databases: TestDatabase[] = [];
  const standbys: Standby[] = [];

  const address = (name: (typeof LOGINS)[number], database: string) =>
    `postgres://${name}:${passwords[name]}@127.0.0.1:${port}/${database}`;
  const query = <Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []) =>
    login(address("postgres", "postgres"), async (client) => {
      return (await client.query<Row>(sql, values)).rows;
    });

  async function start(): Promise<void> {
    if (running !== null) throw new Error("this box runs already");
    await disownPidFile(dataDirectory);
    await launch({ ...cluster, port, settings });
    const postmaster = await readPostmaster(dataDirectory);
    const birth = postmaster && (await processBirth(postmaster.pid));
    if (postmaster === null || birth === null) throw new Error(`it ended at once: see ${home}`);
    running = { pid: postmaster.pid, birth };
    port = postmaster.port;
    await ready();
  }

  async function ready(): Promise<void> {
    await until(`the box lets people in; see ${home}`, () =>
      query("select").then(() => true, refusesYet),
    );
  }

  async function stop(mode: StopMode): Promise<void> {
    if (running === null) throw new Error("this box is stopped already");
    const { pid, birth } = running;
    const children = descendantsOf(pid);
    if (mode === "crash") killTree(pid);
    else {
      signalTo(pid, STOP_SIGNALS[mode]);
      // A paused server would take note of it later only.
      thawTree(pid);
    }
    await until(`the box has ended (${mode})`, async () => {
      const isGone = (await processBirth(pid)) !== birth;
      // Backends may outlive it for moments, and still hold its memory.
      return isGone && (await Promise.all(children.map(processBirth))).every((b) => b === null);
    });
    running = null;
  }

  function postmasterPid(): number {
    if (running === null) throw new Error("this box is stopped");
    return running.pid;
  }

  function endNow(): void {
    if (running !== null) killTree(running.pid);
    running = null;
    removeBoxFolder(home, hasDisk);
  }

  process.once("exit", endNow);
  const box: PgBox = {
    get port() {
      if (port === undefined) throw new Error("this box was never started");
      return port;
    },
    get url() {
      return address("bookpost", "bookpost");
    },
    get apiUrl() {
      return address("bookpost_authenticator", "bookpost");
    },
    get adminUrl() {
      return address("postgres", "postgres");
    },
    get pid() {
      return postmasterPid();
    },
    logFile: `${home}/postgres.log`,
    query,
    async createMigratedDatabase() {
      const server = { adminUrl: box.adminUrl, ownerUrl: box.url, apiUrl: box.apiUrl };
      if (!isMigrated) await prepareTemplate(server);
      isMigrated = true;
      const database = await cloneTemplate(server);
      databases.push(database);
      return database;
    },
    ready,
    stop,
    async start(changed = settings) {
      settings = changed;
      await start();
    },
    async restart(mode) {
      await stop(mode);
      await start();
    },
    pause() {
      freezeTree(postmasterPid());
    },
    resume() {
      thawTree(postmasterPid());
    },
    killBackend(pid) {
      if (!descendantsOf(postmasterPid()).includes(pid))
        throw new Error(`process ${pid} is no backend of this box`);
      signalTo(pid, "SIGKILL");
    },
    async terminate(condition) {
      const ended = await query<{ pid: number }>(
        // Materialized: Postgres may ask conditions in any order, and the end of a session is no condition.
        `with fits as materialized (
           select pid from pg_stat_activity where pid <> pg_backend_pid() and (${condition})
         )
         select pid from fits where pg_terminate_backend(pid)`,
      );
      return ended.map(({ pid }) => pid);
    },
    fillDisk() {
      if (!hasDisk) throw new Error("this box has no disk of its own");
      fillDisk(dataDirectory);
    },
    freeDisk() {
      freeDisk(dataDirectory);
    },
    async standby() {
      const copy = await followBox(box, passwords, settings);
      standbys.push(copy);
      return copy;
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      await Promise.all(standbys.map((standby) => standby.close()));
      // Nobody is waited for: what a paused server or a lost link keeps hanging ends with its process.
      endNow();
      process.off("exit", endNow);
      for (const { pool } of databases) if (!pool.ending) pool.end().catch(() => {});
    },
  };
  try {
    await start();
  } catch (error) {
    await box.close();
    throw error;
  }
  return box;
}

async function followBox(
  primary: PgBox,
  passwords: Passwords,
  settings: Settings,
): Promise<Standby> {
  const home = await makeBoxFolder();
  let box: PgBox;
  try {
    const cluster = await copyCluster(primary.adminUrl, home);
    box = await openBox({ home, hasDisk: false, cluster, passwords, settings });
  } catch (error) {
    removeBoxFolder(home, false);
    throw error;
  }
  const { standby: _, ...rest } = Object.getOwnPropertyDescriptors(box);
  return Object.defineProperties({} as Standby, {
    ...rest,
    catchUp: {
      async value() {
        const [written] = await primary.query<{ lsn: string }>(
          "select pg_current_wal_lsn() as lsn",
        );
        await until("the standby has caught up", async () => {
          const [replay] = await box.query<{ is_there: boolean }>(
            "select pg_last_wal_replay_lsn() >= $1::pg_lsn as is_there",
            [written?.lsn],
          );
          return replay?.is_there;
        });
      },
    },
    promote: {
      async value() {
        await box.query("select pg_promote()");
        await until("the standby takes writes", async () => {
          const [row] = await box.query<{ is_standby: boolean }>(
            "select pg_is_in_recovery() as is_standby",
          );
          return row?.is_standby === false;
        });
      },
    },
  });
}

// Postgres's SQLSTATE for a password that is not its own (its manual, appendix A): another server has the port.
const INVALID_PASSWORD = "28P01";

/** While it starts, recovers or shuts down it refuses in many ways: in words, by a reset, by silence. */
function refusesYet(error: unknown): false {
  if (hasCode(error, INVALID_PASSWORD)) throw error;
  return false;
}
