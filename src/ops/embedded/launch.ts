import { randomInt } from "node:crypto";
import { once } from "node:events";
import { open, readFile, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { BookpostError } from "../../errors.ts";
import { hasCode } from "./hasCode.ts";
import { pollUntil } from "./pollUntil.ts";
import { readPostmaster } from "./postmaster.ts";
import { type Runner, spawnAs } from "./runAs.ts";

export interface LaunchOptions {
  readonly dataDirectory: string;
  readonly postgres: string;
  readonly runner: Runner;
  /** Exactly this port; without it the last one if it is free, else another. */
  readonly port?: number;
  readonly settings: Readonly<Record<string, string>>;
}

/**
 * Only loopback, no socket file. The log keeps the sentence of an error and
 * leaves out its details and statement, which quote rows: phone numbers,
 * addresses, passwords.
 */
const HOUSE_SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  log_error_verbosity: "terse",
  log_min_error_statement: "panic",
};

/** What a postmaster that ended at once had to say, and that another attempt helps: with another port, or a moment later. */
const PORT_TAKEN = /could not create any TCP\/IP sockets|Address already in use/;
const BACKENDS_REMAIN = /pre-existing shared memory block .* is still in use/;

/**
 * Starts a postmaster and returns once it listens; whether it answers yet is
 * for the caller to ask. It is detached, so that it outlives us: a Ctrl-C in
 * the terminal must not stop it under a worker that is still writing.
 * @throws BookpostError PORT_TAKEN, or POSTGRES_WONT_START with the server's own words.
 */
export async function launch(options: LaunchOptions): Promise<void> {
  const home = dirname(options.dataDirectory);
  const logFile = join(home, "postgres.log");
  // One earlier log is kept: it says how the last server ended.
  await rename(logFile, `${logFile}.1`).catch((error) => {
    if (!hasCode(error, "ENOENT")) throw error;
  });
  const attempt = async () => {
    const port = options.port ?? (await choosePort(home));
    const words = await spawnPostmaster(options, port, logFile);
    if (words === null) await writeFile(join(home, "port"), `${port}\n`);
    else if (PORT_TAKEN.test(words) && options.port !== undefined)
      throw new BookpostError(
        "PORT_TAKEN",
        `The embedded Postgres cannot have port ${port}, which another program uses: choose another.`,
      );
    else if (PORT_TAKEN.test(words) || BACKENDS_REMAIN.test(words)) return undefined;
    else throw wontStart(words, logFile);
    return true;
  };
  // Chosen: backends whose postmaster was killed notice within moments unless they are busy; then a person has to look.
  if (!(await pollUntil(attempt, { patienceMs: 15_000, everyMs: 200 })))
    throw new BookpostError(
      "POSTGRES_WONT_START",
      `Processes of an earlier embedded Postgres still work on ${options.dataDirectory}: end them, then start again.`,
    );
}

export function wontStart(words: string, logFile: string): BookpostError {
  const line = words.split("\n").findLast((text) => text.includes("FATAL:")) ?? words.trim();
  return new BookpostError(
    "POSTGRES_WONT_START",
    `The embedded Postgres did not start (${line}): see ${logFile}, or set DATABASE_URL to a Postgres of your own.`,
  );
}

/** Gives null once the postmaster listens; what it said, when it ended before. */
async function spawnPostmaster(
  { dataDirectory, postgres, runner, settings }: LaunchOptions,
  port: number,
  logFile: string,
): Promise<string | null> {
  const wanted = { ...settings, ...HOUSE_SETTINGS, port: String(port) };
  const log = await open(logFile, "a", 0o600);
  const { size } = await log.stat();
  const child = spawnAs(
    runner,
    postgres,
    ["-D", dataDirectory, ...Object.entries(wanted).flatMap(([k, v]) => ["-c", `${k}=${v}`])],
    { detached: true, cwd: dirname(dataDirectory), stdio: ["ignore", log.fd, log.fd] },
  );
  await once(child, "spawn").finally(() => log.close());
  child.unref();
  const ended = async () => (await readFile(logFile)).subarray(size).toString();
  const settled = await pollUntil(
    async () => {
      if (child.exitCode !== null || child.signalCode !== null) return ended();
      const postmaster = await readPostmaster(dataDirectory);
      return postmaster?.pid === child.pid && postmaster?.isListening ? null : undefined;
    },
    // Chosen: it listens before it recovers, so this takes moments even after a crash; a minute is a machine in trouble.
    { patienceMs: 60_000 },
  );
  return settled === undefined ? "it does not listen after a minute" : settled;
}

/** The port of the last time if it is free, so that what people have written down stays true; else a free one. */
async function choosePort(home: string): Promise<number> {
  const last = await readFile(join(home, "port"), "utf8").catch(() => "");
  // Chosen: below the range that systems hand out for outgoing connections (from 32768 on Linux, 49152 elsewhere).
  const draw = () => randomInt(20_000, 30_000);
  let port = Number(last) > 0 ? Number(last) : draw();
  while (!(await isFree(port))) port = draw();
  return port;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () =>
      probe.close(() => resolve(true)),
    );
  });
}
