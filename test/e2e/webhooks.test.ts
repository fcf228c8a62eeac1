import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { webhookEvent } from "../../src/notifications/webhookEvent.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { ago } from "../helpers/ago.ts";
import { createTestDatabase } from "../helpers/database.ts";
import { one } from "../helpers/one.ts";
import { until } from "../helpers/until.ts";
import { carrierEnvironment, startWorkerProcess } from "../helpers/workerProcess.ts";

// The whole way, from a carrier's answer to an app's receiver, with real workers.

type Finish = (work: () => Promise<void>) => void;

const NUMBER = "1Z12345E0205271688";

/** A database with an endpoint, a carrier, and a receiver that answers as `answer` says; what it verified is in `received`. */
async function openStage(
  finish: Finish,
  answer: (response: ServerResponse, count: number) => void,
) {
  const db = await createTestDatabase();
  finish(() => db.drop());
  const sandbox = await startSandbox();
  finish(() => sandbox.close());
  const received: { id: unknown; event: unknown }[] = [];
  let secret = "";
  const server = createServer(async (request, response) => {
    const bytes = await buffer(request);
    const headers = request.headers as Record<string, string>;
    const event = webhookEvent.parse(new Webhook(secret).verify(bytes, headers));
    received.push({ id: headers["webhook-id"], event });
    answer(response, received.length);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  finish(async () => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  ({ secret } = await one<{ secret: string }>(
    db.pool,
    "select secret from bookpost.add_webhook($1)",
    [`http://127.0.0.1:${port}/hooks`],
  ));
  return {
    db,
    received,
    async start() {
      const worker = await startWorkerProcess(db, {
        ...carrierEnvironment(sandbox),
        WEBHOOK_ALLOWED_NETWORKS: "127.0.0.0/8",
        // A proxy of the environment must not see it.
        NODE_USE_ENV_PROXY: "1",
        HTTP_PROXY: "http://127.0.0.1:1",
        http_proxy: "http://127.0.0.1:1",
        NO_PROXY: "",
      });
      finish(async () => void (await worker.close()));
      return worker;
    },
    async track() {
      sandbox.script(NUMBER, {
        steps: [{ stage: "in_transit", at: ago(1) }],
      });
      await db.pool.query("select bookpost.track_book($1, 'ups', $1)", [NUMBER]);
      await db.pool.query("select bookpost_private.wake_dispatch()");
    },
    /** The one message, once it is sent. */
    untilSent: () =>
      until(
        "the message is sent",
        async () => {
          const { rows } = await db.pool.query(
            "select id, state, attempt_count, failure_count from bookpost_private.deliveries",
          );
          expect(rows.length).toBeLessThanOrEqual(1);
          return rows[0]?.state === "sent" && rows[0];
        },
        60_000,
      ),
  };
}

test("a change of status reaches an endpoint once, signed, and is sent", {
  timeout: 120_000,
}, async ({ onTestFinished: finish }) => {
  const { received, start, track, untilSent } = await openStage(finish, (response) =>
    response.writeHead(204).end(),
  );
  await start();
  await track();
  const { id } = await untilSent();
  expect(received).toMatchObject([
    { id, event: { type: "book.status_changed", data: { status: "in_transit" } } },
  ]);
});

test("a receiver that is down for a while is told when it is back, under the same id", {
  timeout: 120_000,
}, async ({ onTestFinished: finish }) => {
  const { received, start, track, untilSent } = await openStage(finish, (response, count) =>
    response.writeHead(count === 1 ? 503 : 204).end(),
  );
  await start();
  await track();
  expect(await untilSent()).toMatchObject({ attempt_count: 2, failure_count: 1 });
  expect(received[1]).toEqual(received[0]);
});

test("a worker that is killed while it sends: the same message comes again, and is one row, sent", {
  timeout: 120_000,
}, async ({ onTestFinished: finish }) => {
  const { promise: first, resolve } = Promise.withResolvers<void>();
  const { db, received, start, track, untilSent } = await openStage(finish, (response, count) => {
    if (count === 1) resolve();
    else response.writeHead(204).end();
  });
  const worker = await start();
  await track();
  await first;
  expect(await one(db.pool, "select state from bookpost_private.deliveries")).toEqual({
    state: "sending",
  });
  worker.kill("SIGKILL");
  await start();
  expect(await untilSent()).toMatchObject({ attempt_count: 2, failure_count: 1 });
  expect(received).toHaveLength(2);
  expect(received[1]).toEqual(received[0]);
});
