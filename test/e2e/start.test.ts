import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createPool } from "../../src/db/pool.ts";
import { findEmbeddedPostgres, startEmbeddedPostgres } from "../../src/ops/embeddedPostgres.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { trackBook } from "../../src/sql/trackBook.ts";
import { wakeDispatch } from "../../src/sql/wakeDispatch.ts";
import { cloneProject, HERE } from "../helpers/cloneProject.ts";
import { offsetTime } from "../helpers/offsetTime.ts";
import { until } from "../helpers/until.ts";
import { carrierEnvironment } from "../helpers/workerProcess.ts";

// The product as people start it, in a clone of its own, so that one that runs here is left alone.

let clone: string;
let root: string;
const children: ChildProcess[] = [];

beforeAll(() => {
  clone = cloneProject();
  root = join(clone, ".postgres");
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  if ((await findEmbeddedPostgres(root)) !== null) await (await startEmbeddedPostgres(root)).stop();
  rmSync(join(clone, ".env"), { force: true });
});

afterAll(() => rmSync(clone, { recursive: true, force: true }));

interface Product {
  readonly child: ChildProcess;
  /** Everything it has printed. */
  output(): string;
  /** Waits for what it prints. */
  says(words: string | RegExp): Promise<void>;
  readonly exitCode: Promise<number | null>;
}

/** `npm start`, without npm and from a folder that is not the project's. */
function start(
  env: NodeJS.ProcessEnv = {},
  nodeOptions: string[] = [],
  args: string[] = [],
): Product {
  const child = spawn(
    process.execPath,
    [...nodeOptions, join(clone, "src/bin/start.js"), ...args],
    {
      cwd: tmpdir(),
      env: { PATH: process.env.PATH, PORT: "0", ...env },
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
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}:\n${output}`);
        return false;
      });
    },
    exitCode,
  };
}

const graphqlUrl = ({ output }: Product) => /http:\S+\/graphql/.exec(output())?.[0] ?? "";

async function isAnswering(product: Product): Promise<boolean> {
  const response = await fetch(graphqlUrl(product), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: "{ __typename }" }),
  });
  return response.ok;
}

/** What a stop has to leave: no server, no lock, nothing half done. */
async function expectAllQuiet(): Promise<void> {
  expect(await findEmbeddedPostgres(root)).toBeNull();
  expect(readdirSync(root).filter((name) => /lock|new/.test(name))).toEqual([]);
  expect(existsSync(join(root, "18", "postmaster.pid"))).toBe(false);
}

test("a clone that was never installed is told to run npm install", async () => {
  rmSync(join(clone, "node_modules"));
  try {
    const product = start();
    expect(await product.exitCode).toBe(1);
    expect(product.output()).toMatch(/^bookpost's packages .* run npm install in .*\.\n$/);
  } finally {
    symlinkSync(join(HERE, "node_modules"), join(clone, "node_modules"));
  }
});

test("a Node that reads no TypeScript gets one sentence and no stack", async () => {
  const product = start({}, ["--no-experimental-strip-types"]);
  expect(await product.exitCode).toBe(1);
  expect(product.output()).toMatch(/^bookpost needs Node 22\.18 or later, [^\n]*npm[^\n]*\n$/);
});

test("a wrong environment ends with 2 and starts nothing", async () => {
  const product = start({ PORT: "many" });
  expect(await product.exitCode).toBe(2);
  expect(product.output()).toMatch(/^PORT must be [^\n]*"many"[^\n]*\n$/);
  expect(existsSync(root)).toBe(false);
});

test("a signal during the very first start leaves nothing running and nothing broken", async () => {
  const product = start();
  await product.says("Making a database");
  product.child.kill("SIGTERM");
  expect(await product.exitCode).toBe(0);
  expect(product.output()).not.toContain("bookpost is running");
  await expectAllQuiet();
});

test("it says what runs where, without a password, and SIGTERM ends it with 0", async () => {
  const sandbox = await startSandbox();
  try {
    const { DHL_API_KEY: _, ...environment } = carrierEnvironment(sandbox);
    const product = start(environment);
    await product.says("DHL");
    expect(await isAnswering(product)).toBe(true);

    const server = await findEmbeddedPostgres(root);
    const output = product.output();
    expect(output).toContain(`/pgpass psql -h 127.0.0.1 -p ${server?.port} -U bookpost bookpost\n`);
    expect(output).toContain("npx bookpost sql");
    expect(output).toMatch(/Worker .*dispatch at "\* \* \* \* \*"/);
    expect(output).toMatch(/Carriers +UPS, .* configured\n/);
    expect(output).toMatch(/DHL: set DHL_API_KEY\n/);
    for (const url of [server?.url, server?.apiUrl, server?.adminUrl])
      expect(output).not.toContain(new URL(url ?? "").password);

    product.child.kill("SIGTERM");
    expect(await product.exitCode).toBe(0);
    await expectAllQuiet();
  } finally {
    await sandbox.close();
  }
});

test("a second start says what runs where, ends with 1 and leaves the first alone", async () => {
  const first = start();
  await first.says("Worker");
  const second = start();
  expect(await second.exitCode).toBe(1);
  expect(second.output()).toMatch(/^bookpost runs here already [^\n]*\n$/);
  expect(second.output()).toContain(graphqlUrl(first));
  expect(second.output()).toContain(`process ${first.child.pid}`);
  expect(await isAnswering(first)).toBe(true);
});

test("after a kill -9 the next start takes the orphaned Postgres over, and SIGHUP stops both", async () => {
  const killed = start();
  await killed.says("Worker");
  const orphan = await findEmbeddedPostgres(root);
  killed.child.kill("SIGKILL");
  await killed.exitCode;

  const next = start();
  await next.says("Worker");
  expect((await findEmbeddedPostgres(root))?.pid).toBe(orphan?.pid);
  next.child.kill("SIGHUP");
  expect(await next.exitCode).toBe(0);
  await expectAllQuiet();
});

test("a Postgres that is killed comes back under the running product, at the same address", async () => {
  const product = start();
  await product.says("Worker");
  const before = await findEmbeddedPostgres(root);
  process.kill(before?.pid ?? 0, "SIGKILL");
  const after = await until("Postgres is back", () => findEmbeddedPostgres(root));
  expect(after.pid).not.toBe(before?.pid);
  expect(after.port).toBe(before?.port);
  await until("the API answers again", () => isAnswering(product));
  product.child.kill("SIGTERM");
  expect(await product.exitCode).toBe(0);
  await expectAllQuiet();
});

test("a lookup that is under way at the signal is written down before Postgres stops", async () => {
  const sandbox = await startSandbox();
  try {
    const product = start(carrierEnvironment(sandbox));
    await product.says("Worker");
    const server = await findEmbeddedPostgres(root);
    const number = "1Z12345E0205271688";
    sandbox.script(number, { steps: [{ stage: "in_transit", at: offsetTime(50) }] });
    sandbox.fault({ mode: "slow", kind: "lookup", ms: 1000 });
    const pool = createPool(server?.url ?? "", "cli");
    const { id } = await trackBook(pool, {
      title: "On the way",
      carrier: "ups",
      trackingNumber: number,
    });
    await wakeDispatch(pool);
    await pool.end();
    await until("the carrier is being asked", async () =>
      sandbox.log.some(({ kind, status }) => kind === "lookup" && status === null),
    );
    product.child.kill("SIGTERM");
    expect(await product.exitCode).toBe(0);

    const again = await startEmbeddedPostgres(root);
    const after = createPool(again.url, "cli");
    const { rows } = await after.query(
      `select p.status from bookpost.parcels p
      join bookpost.parcel_books pb on pb.parcel_id = p.id where pb.book_id = $1`,
      [id],
    );
    const { rows: locked } = await after.query(
      "select from graphile_worker.jobs where locked_at is not null",
    );
    await after.end();
    expect(rows).toEqual([{ status: "in_transit" }]);
    expect(locked).toEqual([]);
  } finally {
    await sandbox.close();
  }
});

test("Ctrl-C through npm, which doubles it, still lets everything finish", async () => {
  const product = start();
  await product.says("Worker");
  product.child.kill("SIGINT");
  product.child.kill("SIGINT");
  expect(await product.exitCode).toBe(0);
  await expectAllQuiet();
});

test("a second signal ends it at once with 1, and Postgres stops all the same", async () => {
  const product = start();
  await product.says("Worker");
  // Half a request: the API waits for the rest of it.
  const { hostname, port } = new URL(graphqlUrl(product));
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write("POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{");
  product.child.kill("SIGINT");
  await product.says("Stopping");
  product.child.kill("SIGTERM");
  expect(await product.exitCode).toBe(1);
  await until("Postgres has stopped", async () => !existsSync(join(root, "18", "postmaster.pid")));
  socket.destroy();
});

test("a port that is taken is named, and nothing is left running", async () => {
  const rival = createServer().listen(0, "127.0.0.1");
  await once(rival, "listening");
  const address = rival.address();
  const port = typeof address === "object" && address !== null ? String(address.port) : "";
  try {
    // From the project's own .env, wherever it is started from.
    writeFileSync(join(clone, ".env"), `PORT=${port}\n`);
    const product = start({ PORT: undefined });
    expect(await product.exitCode).toBe(1);
    expect(product.output()).toMatch(new RegExp(`^Port ${port} is taken\\. Set PORT `, "m"));
    await expectAllQuiet();
  } finally {
    rival.close();
  }
});

test("a DATABASE_URL where nobody answers is one sentence without its password", async () => {
  const product = start({ DATABASE_URL: "postgres://someone:hidden-word@127.0.0.1:1/app" });
  expect(await product.exitCode).toBe(1);
  expect(product.output()).toMatch(/^Postgres does not answer\. [^\n]*DATABASE_URL[^\n]*\n$/);
  expect(product.output()).not.toContain("hidden-word");
});

test("output that nobody reads any more does not stop it", async () => {
  const product = start();
  await product.says("Worker");
  product.child.stdout?.destroy();
  product.child.stderr?.destroy();
  await until("it tries to speak", async () => {
    const server = await findEmbeddedPostgres(root);
    return server !== null && (await isAnswering(product));
  });
  product.child.kill("SIGTERM");
  expect(await product.exitCode).toBe(0);
});

test("with --only worker no API answers, and the worker works all the same", async () => {
  const product = start({}, [], ["--only", "worker"]);
  await product.says("bookpost is running");
  await product.says("Worker connected");
  expect(product.output()).not.toContain("GraphQL");
  product.child.kill("SIGTERM");
  expect(await product.exitCode).toBe(0);
});

test("a part that does not exist is refused with the ones that do", async () => {
  const product = start({}, [], ["--only", "everything"]);
  expect(await product.exitCode).toBe(2);
  expect(product.output()).toContain('--only api, or --only worker; not "--only everything"');
});
