import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { findEmbeddedPostgres, startEmbeddedPostgres } from "../../src/ops/embeddedPostgres.ts";
import { cloneProject } from "./cloneProject.ts";
import { until } from "./until.ts";

/** The product as people start it. */
export interface Product {
  readonly child: ChildProcess;
  /** Everything it has printed. */
  output(): string;
  /** Waits for what it prints. */
  says(words: string | RegExp): Promise<void>;
  readonly exitCode: Promise<number | null>;
}

/** A clone of the project for this test file, so that one that runs here is left alone; what a test leaves running is stopped. */
export interface ClonedProject {
  readonly folder: string;
  /** Where its embedded Postgres is. */
  readonly root: string;
  /** `npm start`, without npm and from a folder that is not the project's. */
  start(env?: NodeJS.ProcessEnv, nodeOptions?: string[], args?: string[]): Product;
  /** What a stop has to leave: no server, no lock, nothing half done. */
  expectAllQuiet(): Promise<void>;
}

export function clonedProject(): ClonedProject {
  const children: ChildProcess[] = [];
  let folder = "";
  const root = () => join(folder, ".postgres");

  beforeAll(() => {
    folder = cloneProject();
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    if ((await findEmbeddedPostgres(root())) !== null)
      await (await startEmbeddedPostgres(root())).stop();
    rmSync(join(folder, ".env"), { force: true });
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  return {
    get folder() {
      return folder;
    },
    get root() {
      return root();
    },
    start(env = {}, nodeOptions = [], args = []) {
      const child = spawn(
        process.execPath,
        [...nodeOptions, join(folder, "src/bin/start.js"), ...args],
        {
          cwd: tmpdir(),
          env: {
            PATH: process.env.PATH,
            PORT: "0",
            // Else each run of the tests would leave the compiled code of its clone among the packages.
            NODE_COMPILE_CACHE: join(folder, ".compiled"),
            ...env,
          },
          stdio: ["ignore", "pipe", "pipe"],
        },
      );
      children.push(child);
      let output = "";
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (chunk) => {
          output += chunk;
        });
      const exitCode = once(child, "close").then(([code]) => code as number | null);
      return {
        child,
        output: () => output,
        async says(words) {
          await until(`it says "${words}", not only:\n${output}`, async () => {
            if (output.match(words)) return true;
            if (child.exitCode !== null)
              throw new Error(`it ended with ${child.exitCode}:\n${output}`);
            return false;
          });
        },
        exitCode,
      };
    },
    async expectAllQuiet() {
      expect(await findEmbeddedPostgres(root())).toBeNull();
      expect(readdirSync(root()).filter((name) => /lock|new/.test(name))).toEqual([]);
      expect(existsSync(join(root(), "18", "postmaster.pid"))).toBe(false);
    },
  };
}

export const graphqlUrl = ({ output }: Product) => /http:\S+\/graphql/.exec(output())?.[0] ?? "";

export async function isAnswering(product: Product): Promise<boolean> {
  const response = await fetch(graphqlUrl(product), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: "{ __typename }" }),
  });
  return response.ok;
}
