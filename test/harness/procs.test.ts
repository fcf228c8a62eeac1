import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { processBirth } from "../../src/ops/embedded/processBirth.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { createTestDatabase } from "../helpers/database.ts";
import { testDatabase } from "../helpers/testDatabase.ts";
import { trackBook } from "../helpers/trackBook.ts";
import { until } from "../helpers/until.ts";
import { carrierEnvironment, startWorkerProcess } from "../helpers/workerProcess.ts";
import { startFaultline } from "./faultline.ts";
import { endLeftoverProcs } from "./procRegistry.ts";
import { startApiProcess, startProc } from "./procs.ts";

const db = testDatabase();

/** The API's process is the cheapest that lives on; nothing here depends on what it does. */
async function startLasting() {
  const proc = await startApiProcess(db.url);
  onTestFinished(() => proc.close().then(() => {}));
  return proc;
}

/** proc_pid_stat(5), field 3: T is stopped. */
async function isStopped(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
}

test("a program that ends by itself tells its code and all it has printed", async () => {
  const proc = await startProc(["src/bin/start.js"], { environment: { PORT: "many" } });
  const ending = await proc.ended;
  expect(ending).toMatchObject({ code: 2, signal: null });
  expect(ending.output).toContain("PORT must be");
});

test("who waits for words of a program that ends first is told what it said instead", async () => {
  const proc = await startProc(["src/bin/start.js"], { environment: { PORT: "many" } });
  await expect(proc.says("bookpost is running")).rejects.toThrow(
    /ended first, with 2[\s\S]*PORT must/,
  );
});

test("the API answers once it is started, and exits with 0 when asked to stop", async () => {
  const api = await startLasting();
  const response = await fetch(api.graphqlUrl, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: "{ __typename }" }),
  });
  expect(response.status).toBe(200);
  expect(await api.stop()).toMatchObject({ code: 0, signal: null });
});

test("a killed process ends by that signal, and may be closed all the same", async () => {
  const proc = await startLasting();
  proc.kill("SIGKILL");
  expect(await proc.ended).toMatchObject({ code: null, signal: "SIGKILL" });
  expect(await proc.close()).toMatchObject({ signal: "SIGKILL" });
});

test.skipIf(process.platform !== "linux")(
  "a paused process stands still until it is resumed, and can be closed while it does",
  async () => {
    const proc = await startLasting();
    proc.pause();
    await until("it stands still", () => isStopped(proc.pid));
    proc.resume();
    await until("it goes on", async () => !(await isStopped(proc.pid)));
    proc.pause();
    expect(await proc.close()).toMatchObject({ signal: "SIGKILL" });
  },
);

test.each(["stock", "start"] as const)(
  "a worker by the %s command is killed while what it has to say waits on the line",
  async (command) => {
    const own = await createTestDatabase();
    onTestFinished(() => own.drop());
    const sandbox = await startSandbox();
    onTestFinished(() => sandbox.close());
    const line = await startFaultline(own.url);
    onTestFinished(() => line.close());
    const worker = await startWorkerProcess(
      { url: line.url(own.url), pool: own.pool },
      carrierEnvironment(sandbox),
      { command },
    );
    onTestFinished(() => worker.close().then(() => {}));
    const watch = line.watch({ direction: "upstream", match: "record_lookups" }, async () => {
      worker.kill("SIGKILL");
      await worker.ended;
      return "cut";
    });
    await trackBook(own.pool, "dhl");
    await watch.happened;
    expect(await worker.ended).toMatchObject({ signal: "SIGKILL" });
    expect(sandbox.log.filter(({ kind }) => kind === "lookup")).toHaveLength(1);
    const { rows } = await own.pool.query("select from bookpost_private.lookups");
    expect(rows).toEqual([]);
  },
);

test("what a killed test process has left running is ended by the next", async () => {
  const program = `
    const { startProc } = await import(${JSON.stringify(join(import.meta.dirname, "procs.ts"))});
    const proc = await startProc(["src/bin/start.js", "--only", "api"], {
      environment: { DATABASE_URL: ${JSON.stringify(db.url)}, PORT: "0" },
    });
    await proc.says("bookpost is running");
    console.log(proc.pid);
    process.kill(process.pid, "SIGKILL");
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program]);
  const [output] = await once(child.stdout, "data");
  await once(child, "close");
  const pid = Number(output);
  expect(await processBirth(pid)).not.toBeNull();
  await endLeftoverProcs();
  await until("it is gone", async () => (await processBirth(pid)) === null);
});
