import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findEmbeddedPostgres } from "../../../src/ops/embeddedPostgres.ts";
import { clonedProject, graphqlUrl, isAnswering } from "../../helpers/product.ts";
import { until } from "../../helpers/until.ts";

// The whole product, as people start it, and what may happen to it or to its Postgres.

const project = clonedProject();

test("after a kill -9 the next start takes the orphaned Postgres over, and SIGHUP stops both", async () => {
  const killed = project.start();
  await killed.says("Worker");
  const orphan = await findEmbeddedPostgres(project.root);
  killed.child.kill("SIGKILL");
  await killed.exitCode;

  const next = project.start();
  await next.says("Worker");
  expect((await findEmbeddedPostgres(project.root))?.pid).toBe(orphan?.pid);
  next.child.kill("SIGHUP");
  expect(await next.exitCode).toBe(0);
  await project.expectAllQuiet();
});

test("a Postgres that is killed comes back under the running product, at the same address", async () => {
  const product = project.start();
  await product.says("Worker");
  const before = await findEmbeddedPostgres(project.root);
  process.kill(before?.pid ?? 0, "SIGKILL");
  const after = await until("Postgres is back", () => findEmbeddedPostgres(project.root));
  expect(after.pid).not.toBe(before?.pid);
  expect(after.port).toBe(before?.port);
  await until("the API answers again", () => isAnswering(product));
  product.child.kill("SIGTERM");
  expect(await product.exitCode).toBe(0);
  await project.expectAllQuiet();
});

test("Ctrl-C through npm, which doubles it, still lets everything finish", async () => {
  const product = project.start();
  await product.says("Worker");
  product.child.kill("SIGINT");
  product.child.kill("SIGINT");
  expect(await product.exitCode).toBe(0);
  await project.expectAllQuiet();
});

test("a second signal ends it at once with 1, and Postgres stops all the same", async () => {
  const product = project.start();
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
  await until(
    "Postgres has stopped",
    async () => !existsSync(join(project.root, "18", "postmaster.pid")),
  );
  socket.destroy();
});

test("output that nobody reads any more does not stop it", async () => {
  const product = project.start();
  await product.says("Worker");
  product.child.stdout?.destroy();
  product.child.stderr?.destroy();
  await until("it tries to speak", async () => {
    const server = await findEmbeddedPostgres(project.root);
    return server !== null && (await isAnswering(product));
  });
  product.child.kill("SIGTERM");
  expect(await product.exitCode).toBe(0);
});
