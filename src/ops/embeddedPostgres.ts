import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BookpostError } from "../errors.ts";
import { findBinaries } from "./embedded/binaries.ts";
import { chooseRunner } from "./embedded/chooseRunner.ts";
import { type FolderLock, takeFolderLock } from "./embedded/folderLock.ts";
import { hasCode } from "./embedded/hasCode.ts";
import { clearLeftovers, initialise } from "./embedded/initialise.ts";
import { launch, wontStart } from "./embedded/launch.ts";
import { login } from "./embedded/login.ts";
import { openHome } from "./embedded/openHome.ts";
import {
  createPasswords,
  type Passwords,
  readPasswords,
  writePgpass,
} from "./embedded/passwords.ts";
import { pollUntil } from "./embedded/pollUntil.ts";
import {
  disownPidFile,
  isPostmaster,
  isSameFolder,
  type Postmaster,
  readPostmaster,
  stopPostmaster,
} from "./embedded/postmaster.ts";
import { prepareCluster } from "./embedded/prepareCluster.ts";

/** A Postgres of ours that answers. All three addresses hold a password. */
export interface EmbeddedServer {
  /** Login `bookpost`, who owns the database `bookpost`: worker and migrations. */
  readonly url: string;
  /** Login `bookpost_authenticator`: the API. */
  readonly apiUrl: string;
  /** The superuser, in the database `postgres`. */
  readonly adminUrl: string;
  readonly port: number;
  readonly dataDirectory: string;
  /** The postmaster's. */
  readonly pid: number;
  /** Shuts the server down, ending all connections, and waits until it is gone: at most eight seconds. May be called again. */
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Exactly this port, or an error; without it the last one if it is free, else another. */
  readonly port?: number;
  /** Server settings, such as `fsync`. A server that runs already keeps its own. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Told what takes a while, a sentence at a time. */
  readonly onProgress?: (sentence: string) => void;
}

// The major version is in the name, so that the next one starts beside the old data and not on it.
const CLUSTER = "18";

// Postgres's SQLSTATEs (its manual, appendix A).
const CANNOT_CONNECT_NOW = "57P03";
const INVALID_PASSWORD = "28P01";

/**
 * Gives the Postgres 18 that keeps its data under `root` (`<project>/.postgres`),
 * answering and with its logins and its empty database made. One that runs
 * already is taken as it is, also one whose starter was killed; several
 * callers at once get the same one.
 *
 * It listens on 127.0.0.1, asks everybody for a password, logs to
 * `root`/postgres.log and outlives this process unless it is stopped.
 * @throws BookpostError with one sentence and the way out.
 */
export async function startEmbeddedPostgres(
  root: string,
  options: EmbeddedOptions = {},
): Promise<EmbeddedServer> {
  const tell = options.onProgress ?? (() => {});
  const binaries = await findBinaries();
  const home = await openHome(root);
  const dataDirectory = join(home, CLUSTER);
  const runner = await chooseRunner(home, dataDirectory, binaries.postgres);

  const lock = await waitForTurn(home, tell);
  try {
    await clearLeftovers(dataDirectory);
    if (!existsSync(dataDirectory)) {
      tell("Making a database of our own under .postgres (once)");
      const { postgres } = (await readPasswords(home)) ?? (await createPasswords(home));
      await initialise(dataDirectory, postgres, binaries, runner);
    }
    const passwords = await readPasswords(home);
    if (passwords === null) throw passwordsLost(home);

    let server = await settle(dataDirectory, passwords, tell);
    if (server === null) {
      await disownPidFile(dataDirectory);
      const { settings = {}, port } = options;
      await launch({ dataDirectory, postgres: binaries.postgres, runner, port, settings });
      server = await settle(dataDirectory, passwords, tell);
    }
    if (server === null) throw wontStart("it ended at once", join(home, "postgres.log"));

    await writePgpass(home, server.port, passwords);
    await prepareCluster(server.adminUrl, passwords);
    const { pid } = server;
    return { ...server, stop: () => stopPostmaster(pid, dataDirectory) };
  } finally {
    await lock.release();
  }
}

/**
 * The server under `root` that answers now, or null. Starts nothing, changes
 * nothing, waits for nothing.
 * @throws BookpostError when its passwords are not readable for this user.
 */
export async function findEmbeddedPostgres(
  root: string,
): Promise<Omit<EmbeddedServer, "stop"> | null> {
  const home = await realpath(root).catch(() => null);
  if (home === null) return null;
  const passwords = await readPasswords(home);
  if (passwords === null) return null;
  const dataDirectory = join(home, CLUSTER);
  const postmaster = await readPostmaster(dataDirectory);
  // Looked at before it is asked: after a crash another program may sit on that port, and could ask for the password.
  if (postmaster === null || !(await isPostmaster(postmaster.pid, dataDirectory))) return null;
  const server = describe(dataDirectory, postmaster, passwords);
  return (await ask(server)) === "ours" ? server : null;
}

type RunningServer = Omit<EmbeddedServer, "stop">;

function describe(
  dataDirectory: string,
  { pid, port }: Postmaster,
  passwords: Passwords,
): RunningServer {
  const address = (login: keyof Passwords, database: string) =>
    `postgres://${login}:${passwords[login]}@127.0.0.1:${port}/${database}`;
  return {
    url: address("bookpost", "bookpost"),
    apiUrl: address("bookpost_authenticator", "bookpost"),
    adminUrl: address("postgres", "postgres"),
    port,
    dataDirectory,
    pid,
  };
}

/**
 * Waits until the postmaster of `dataDirectory` answers or is gone (null). One
 * that is starting, recovering or shutting down refuses everybody meanwhile.
 */
async function settle(
  dataDirectory: string,
  passwords: Passwords,
  tell: (sentence: string) => void,
): Promise<RunningServer | null> {
  // Chosen: what takes less than a second is not worth a sentence.
  let tellAt = performance.now() + 1000;
  const settled = await pollUntil(
    async () => {
      const postmaster = await readPostmaster(dataDirectory);
      if (postmaster === null || !(await isPostmaster(postmaster.pid, dataDirectory))) return null;
      const server = describe(dataDirectory, postmaster, passwords);
      const answer = await ask(server);
      if (answer === "ours") return server;
      if (answer === "password refused") throw passwordsLost(dirname(dataDirectory));
      if (performance.now() > tellAt) {
        tell(`Waiting for Postgres (process ${postmaster.pid}), which is ${answer}`);
        tellAt = Number.POSITIVE_INFINITY;
      }
      return undefined;
    },
    // Chosen: a recovery after a crash takes seconds; revisit when one takes longer.
    { patienceMs: 120_000, everyMs: 50 },
  );
  if (settled !== undefined) return settled;
  throw new BookpostError(
    "POSTGRES_SILENT",
    `The embedded Postgres runs but has let nobody in for two minutes: see ${join(dirname(dataDirectory), "postgres.log")}, and end it if it hangs.`,
  );
}

type Answer = "ours" | "someone else's" | "password refused" | "starting or stopping" | "silent";

async function ask(server: RunningServer): Promise<Answer> {
  try {
    return await login(server.adminUrl, async (client) => {
      const { rows } = await client.query<{ data_directory: string }>("show data_directory");
      const theirs = rows[0]?.data_directory ?? "";
      // A copy of our folder knows our passwords too. A folder that was moved under its running server is still ours.
      const isOurs = !existsSync(theirs) || (await isSameFolder(theirs, server.dataDirectory));
      return isOurs ? "ours" : "someone else's";
    });
  } catch (error) {
    if (hasCode(error, CANNOT_CONNECT_NOW)) return "starting or stopping";
    if (hasCode(error, INVALID_PASSWORD)) return "password refused";
    return "silent";
  }
}

/** One starter at a time: waits for the one at work, whose server is then ours too. */
async function waitForTurn(home: string, tell: (sentence: string) => void): Promise<FolderLock> {
  let holder = 0;
  const lock = await pollUntil(
    async () => {
      const taken = await takeFolderLock(join(home, "starting.lock"));
      if ("release" in taken) return taken;
      if (holder !== taken.heldBy.pid)
        tell(`Process ${taken.heldBy.pid} is starting Postgres; waiting for it`);
      holder = taken.heldBy.pid;
      return undefined;
    },
    // Chosen: longer than a first start (two seconds here) and a recovery (see `settle`).
    { patienceMs: 180_000, everyMs: 50 },
  );
  if (lock !== undefined) return lock;
  throw new BookpostError(
    "POSTGRES_SILENT",
    `Process ${holder} has been starting the embedded Postgres in ${home} for three minutes: end it, then start again.`,
  );
}

function passwordsLost(home: string): BookpostError {
  return new BookpostError(
    "PASSWORDS_LOST",
    `The passwords of the embedded Postgres in ${join(home, "passwords.json")} are missing or not its own: restore that file, or move ${home} away to begin with an empty database.`,
  );
}
