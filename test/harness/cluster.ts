import { chown, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findBinaries } from "../../src/ops/embedded/binaries.ts";
import { chooseRunner } from "../../src/ops/embedded/chooseRunner.ts";
import { initialise } from "../../src/ops/embedded/initialise.ts";
import type { Passwords } from "../../src/ops/embedded/passwords.ts";
import { type Runner, runAs } from "../../src/ops/embedded/runAs.ts";
import { findServerTools, type ServerTools } from "./abilities.ts";
import { dataDirectoryOf } from "./boxFolder.ts";
import { mountTinyDisk } from "./tinyDisk.ts";

/** "embedded": the Postgres that bookpost brings; "installed": this machine's, which can have a standby. */
export type ServerKind = "embedded" | "installed";

/** The files of a Postgres that does not run yet, and as whom which program runs on them. */
export interface Cluster {
  readonly dataDirectory: string;
  readonly postgres: string;
  readonly runner: Runner;
}

/** Makes an empty cluster in a box's folder; on a disk of its own where `diskMegabytes` says so. */
export async function makeCluster(
  home: string,
  kind: ServerKind,
  { postgres: superuserPassword }: Passwords,
  diskMegabytes: number | undefined,
): Promise<Cluster> {
  const dataDirectory = dataDirectoryOf(home);
  let postgres: string;
  let runner: Runner;
  if (kind === "embedded") {
    const binaries = await findBinaries();
    postgres = binaries.postgres;
    runner = await chooseRunner(home, dataDirectory, postgres);
    await initialise(dataDirectory, superuserPassword, binaries, runner);
  } else {
    const tools = installedTools();
    postgres = tools.postgres;
    runner = await chooseRunner(home, dataDirectory, postgres);
    await mkdirFor(runner, dataDirectory);
    const passwordFile = join(home, "superuser");
    await writeFile(passwordFile, `${superuserPassword}\n`, { mode: 0o600 });
    await giveTo(runner, passwordFile);
    await run(runner, tools.initdb, [
      `--pgdata=${dataDirectory}`,
      "--username=postgres",
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C.UTF-8",
      "--data-checksums",
    ]);
  }
  if (diskMegabytes !== undefined) await moveToTinyDisk(dataDirectory, diskMegabytes);
  return { dataDirectory, postgres, runner };
}

/** Copies a running installed server into another box's folder, as a standby that follows it. */
export async function copyCluster(primaryUrl: string, home: string): Promise<Cluster> {
  const { postgres, pg_basebackup } = installedTools();
  const dataDirectory = dataDirectoryOf(home);
  const runner = await chooseRunner(home, dataDirectory, postgres);
  await mkdirFor(runner, dataDirectory);
  await run(runner, pg_basebackup, [
    `--pgdata=${dataDirectory}`,
    `--dbname=${primaryUrl}`,
    "--checkpoint=fast",
    "--wal-method=stream",
    "--write-recovery-conf",
  ]);
  return { dataDirectory, postgres, runner };
}

function installedTools(): ServerTools {
  const tools = findServerTools();
  if (tools === null)
    throw new Error("no Postgres with pg_basebackup is installed: ask canStandby() first");
  return tools;
}

/** Beside its log, which must still be written when the disk is full. */
async function moveToTinyDisk(dataDirectory: string, megabytes: number): Promise<void> {
  const aside = `${dataDirectory}.aside`;
  await rename(dataDirectory, aside);
  await mkdir(dataDirectory, { mode: 0o700 });
  if (!mountTinyDisk(dataDirectory, megabytes))
    throw new Error("no small disk can be mounted here: ask canTinyDisk() first");
  await run({ prefix: [] }, "cp", ["--archive", `${aside}/.`, dataDirectory]);
  await rm(aside, { recursive: true });
}

async function mkdirFor(runner: Runner, folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  await giveTo(runner, folder);
}

/** Where Postgres runs as another user, the files must be that user's. */
async function giveTo({ uid, gid }: Runner, path: string): Promise<void> {
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
}

async function run(runner: Runner, program: string, args: readonly string[]): Promise<void> {
  const { code, output } = await runAs(runner, program, args);
  if (code !== 0) throw new Error(`${program} ended with ${code}:\n${output}`);
}
