import { once } from "node:events";
import { existsSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createPool } from "../../src/db/pool.ts";
import { findEmbeddedPostgres, startEmbeddedPostgres } from "../../src/ops/embeddedPostgres.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { trackBook } from "../../src/sql/trackBook.ts";
import { wakeDispatch } from "../../src/sql/wakeDispatch.ts";
import { HERE } from "../helpers/cloneProject.ts";
import { offsetTime } from "../helpers/offsetTime.ts";
import { one } from "../helpers/one.ts";
import { clonedProject, graphqlUrl, isAnswering } from "../helpers/product.ts";
import { until } from "../helpers/until.ts";
import { carrierEnvironment } from "../helpers/workerProcess.ts";

// The product as people start it. What happens when it is struck is under test/faults.

const project = clonedProject();

test("a clone that was never installed is told to run npm install", async () => {
  rmSync(join(project.folder, "node_modules"));
  try {
    const product = project.start();
    expect(await product.exitCode).toBe(1);
    expect(product.output()).toMatch(/^bookpost's packages .* run npm install in .*\.\n$/);
  } finally {
    symlinkSync(join(HERE, "node_modules"), join(project.folder, "node_modules"));
  }
});

test("a Node that reads no TypeScript gets one sentence and no stack", async () => {
  const product = project.start({}, ["--no-experimental-strip-types"]);
  expect(await product.exitCode).toBe(1);
  expect(product.output()).toMatch(/^bookpost needs Node 22\.18 or later, [^\n]*npm[^\n]*\n$/);
});

test("a wrong environment ends with 2 and starts nothing", async () => {
  const product = project.start({ PORT: "many" });
  expect(await product.exitCode).toBe(2);
  expect(product.output()).toMatch(/^PORT must be [^\n]*"many"[^\n]*\n$/);
  expect(existsSync(project.root)).toBe(false);
});

test("a signal during the very first start leaves nothing running and nothing broken", async () => {
  const product = project.start();
  await product.says("Making a database");
  product.child.kill("SIGTERM");
  expect(await product.exitCode).toBe(0);
  expect(product.output()).not.toContain("bookpost is running");
  await project.expectAllQuiet();
});

test("it says what runs where, without a password, and SIGTERM ends it with 0", async () => {
  const sandbox = await startSandbox();
  try {
    const { DHL_API_KEY: _, ...environment } = carrierEnvironment(sandbox);
    const product = project.start(environment);
    await product.says("DHL");
    expect(await isAnswering(product)).toBe(true);

    const server = await findEmbeddedPostgres(project.root);
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
    await project.expectAllQuiet();
  } finally {
    await sandbox.close();
  }
});

test("a second start says what runs where, ends with 1 and leaves the first alone", async () => {
  const first = project.start();
  await first.says("Worker");
  const second = project.start();
  expect(await second.exitCode).toBe(1);
  expect(second.output()).toMatch(/^bookpost runs here already [^\n]*\n$/);
  expect(second.output()).toContain(graphqlUrl(first));
  expect(second.output()).toContain(`process ${first.child.pid}`);
  expect(await isAnswering(first)).toBe(true);
});

test("a lookup that is under way at the signal is written down before Postgres stops", async () => {
  const sandbox = await startSandbox();
  try {
    const product = project.start(carrierEnvironment(sandbox));
    await product.says("Worker");
    const server = await findEmbeddedPostgres(project.root);
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
    // What the one killed after the test before had locked is freed by a sweep, later than this test ends.
    const worker = await one<{ id: string }>(
      pool,
      "select id from bookpost_private.workers where process_id = $1",
      [product.child.pid],
    );
    await pool.end();
    await until("the carrier is being asked", async () =>
      sandbox.log.some(({ kind, status }) => kind === "lookup" && status === null),
    );
    product.child.kill("SIGTERM");
    expect(await product.exitCode).toBe(0);

    const again = await startEmbeddedPostgres(project.root);
    const after = createPool(again.url, "cli");
    const { rows } = await after.query(
      `select p.status from bookpost.parcels p
      join bookpost.parcel_books pb on pb.parcel_id = p.id where pb.book_id = $1`,
      [id],
    );
    const { rows: locked } = await after.query(
      "select task_identifier, key from graphile_worker.jobs where locked_by = $1",
      [worker.id],
    );
    await after.end();
    expect(rows).toEqual([{ status: "in_transit" }]);
    expect(locked, product.output()).toEqual([]);
  } finally {
    await sandbox.close();
  }
});

test("a port that is taken is named, and nothing is left running", async () => {
  const rival = createServer().listen(0, "127.0.0.1");
  await once(rival, "listening");
  const address = rival.address();
  const port = typeof address === "object" && address !== null ? String(address.port) : "";
  try {
    // From the project's own .env, wherever it is started from.
    writeFileSync(join(project.folder, ".env"), `PORT=${port}\n`);
    const product = project.start({ PORT: undefined });
    expect(await product.exitCode).toBe(1);
    expect(product.output()).toMatch(new RegExp(`^Port ${port} is taken\\. Set PORT `, "m"));
    await project.expectAllQuiet();
  } finally {
    rival.close();
  }
});

test("a DATABASE_URL where nobody answers is one sentence without its password", async () => {
  const product = project.start({ DATABASE_URL: "postgres://someone:hidden-word@127.0.0.1:1/app" });
  expect(await product.exitCode).toBe(1);
  expect(product.output()).toMatch(/^Postgres does not answer\. [^\n]*DATABASE_URL[^\n]*\n$/);
  expect(product.output()).not.toContain("hidden-word");
});

test("with --only worker no API answers, and the worker works all the same", async () => {
  const product = project.start({}, [], ["--only", "worker"]);
  await product.says("bookpost is running");
  await product.says("Worker connected");
  expect(product.output()).not.toContain("GraphQL");
  product.child.kill("SIGTERM");
  expect(await product.exitCode).toBe(0);
});

test("a part that does not exist is refused with the ones that do", async () => {
  const product = project.start({}, [], ["--only", "everything"]);
  expect(await product.exitCode).toBe(2);
  expect(product.output()).toContain('--only api, or --only worker; not "--only everything"');
});
