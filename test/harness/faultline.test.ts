import { expect, onTestFinished, test } from "vitest";
import { until } from "../helpers/until.ts";
import { type EchoServer, openEchoClient, startEchoServer } from "./echoServer.ts";
import { type Faultline, startFaultline } from "./faultline.ts";

// Each fault against a plain TCP server. Times are only ever held to be at least what was asked for.

async function openLine(server: EchoServer): Promise<Faultline> {
  const line = await startFaultline(server.url);
  onTestFinished(() => line.close());
  return line;
}

/** One client on a line to an echo server, which has answered once. */
async function connected(): Promise<{
  server: EchoServer;
  line: Faultline;
  client: ReturnType<typeof openEchoClient>;
}> {
  const server = await startEchoServer();
  const line = await openLine(server);
  const client = openEchoClient(line.port);
  client.send("a");
  await client.hears("a");
  return { server, line, client };
}

/** What arrived at the line before it has been dealt with once another connection has had its answer. */
async function fence(line: Faultline): Promise<void> {
  const other = openEchoClient(line.port);
  other.send("fence");
  await other.hears("fence");
}

async function serverHas(server: EchoServer, text: string): Promise<void> {
  await until(`the server has "${text}"`, async () => server.chunks.join("") === text);
}

const now = () => performance.now();

test("a line without faults carries large data both ways, unchanged", async () => {
  const { line } = await connected();
  const text = Array.from({ length: 200_000 }, (_, i) => i).join(",");
  const client = openEchoClient(line.port);
  client.send(text);
  await client.hears(text);
});

test("who hangs up is hung up on", async () => {
  const { server, client } = await connected();
  client.hangUp();
  expect(await client.ended()).toBe("closed");
  await until("the server has seen it", async () => server.clientCount === 0);
});

test("latency makes an answer late, until it is removed", async () => {
  const { line, client } = await connected();
  const toxic = line.add({ type: "latency", latency: 150, jitter: 20 });
  const before = now();
  client.send("b");
  await client.hears("ab");
  expect(now() - before).toBeGreaterThanOrEqual(125);
  toxic.remove();
  client.send("c");
  await client.hears("abc");
});

test("latency leaves the order as it was", async () => {
  const { line, client } = await connected();
  line.add({ type: "latency", latency: 10, jitter: 10 }, { direction: "upstream" });
  const [connection] = line.connections;
  for (const [i, letter] of [..."bcdefghij"].entries()) {
    client.send(letter);
    await until("it is at the line", async () => connection?.arrived.upstream === i + 2);
  }
  await client.hears("abcdefghij");
});

test("bandwidth makes much data take its time", async () => {
  const { line, client } = await connected();
  line.add({ type: "bandwidth", rate: 100 });
  const before = now();
  client.send("b".repeat(20_000));
  await client.hears(`a${"b".repeat(20_000)}`);
  expect(now() - before).toBeGreaterThanOrEqual(195);
});

test("slow_close tells late who has hung up", async () => {
  const { server, line, client } = await connected();
  line.add({ type: "slow_close", delay: 100 }, { direction: "upstream" });
  const before = now();
  client.hangUp();
  await until("the server has seen it", async () => server.clientCount === 0);
  expect(now() - before).toBeGreaterThanOrEqual(95);
});

test("timeout lets nothing through and then closes", async () => {
  const { server, line, client } = await connected();
  line.add({ type: "timeout", timeout: 50 });
  client.send("b");
  expect(await client.ended()).toBe("closed");
  expect(client.received).toBe("a");
  expect(server.chunks.join("")).toBe("ab");
});

test("reset_peer resets", async () => {
  const { server, line, client } = await connected();
  line.add({ type: "reset_peer", timeout: 0 });
  expect(await client.ended()).toBe("reset");
  await until("the server has seen it", async () => server.clientCount === 0);
});

test("slicer cuts chunks into pieces and loses none", async () => {
  const { server, line, client } = await connected();
  line.add(
    { type: "slicer", average_size: 10, size_variation: 5, delay: 5 },
    { direction: "upstream" },
  );
  const text = Array.from({ length: 40 }, (_, i) => i).join(",");
  client.send(text);
  await serverHas(server, `a${text}`);
  expect(server.chunks.length).toBeGreaterThan(2);
});

test("limit_data closes when so many bytes have got through", async () => {
  const { line, client } = await connected();
  line.add({ type: "limit_data", bytes: 4 });
  client.send("bcdefgh");
  expect(await client.ended()).toBe("closed");
  expect(client.received).toBe("abcde");
});

test("a line that is down refuses, and resets who was there; up again it has the same port", async () => {
  const { line, client } = await connected();
  const { port } = line;
  await line.down();
  expect(await client.ended()).toBe("reset");
  expect(await openEchoClient(port).ended()).toBe("refused");
  await line.up();
  expect(line.port).toBe(port);
  await fence(line);
});

test("in a blackhole bytes and hang-ups vanish both ways while both ends stay open", async () => {
  const { server, line, client } = await connected();
  const toxic = line.add({ type: "blackhole" });
  const [connection] = line.connections;
  client.send("b");
  server.push("c");
  await until("both have arrived", async () => {
    return connection?.arrived.upstream === 2 && connection.arrived.downstream === 2;
  });
  toxic.remove();
  await fence(line);
  expect(client.received).toBe("a");
  expect(server.chunks).toEqual(["a", "fence"]);
  client.hangUp();
  await fence(line);
  expect(connection?.isOpen).toBe(true);
  expect(server.chunks).toEqual(["a", "fence", "fence"]);
});

test("a connection that has lost bytes stays silent after the blackhole is gone", async () => {
  const { server, line, client } = await connected();
  line.add({ type: "blackhole" }).remove();
  client.send("b");
  await fence(line);
  expect(server.chunks).toEqual(["a", "fence"]);
});

test("one way, upstream: the client is not heard and still hears", async () => {
  const { server, line, client } = await connected();
  const toxic = line.add({ type: "one_way" }, { direction: "upstream" });
  client.send("b");
  server.push("c");
  await client.hears("ac");
  toxic.remove();
  await fence(line);
  expect(server.chunks).toEqual(["a", "fence"]);
});

test("one way, downstream: the client is heard and hears nothing", async () => {
  const { server, line, client } = await connected();
  const [connection] = line.connections;
  const toxic = line.add({ type: "one_way" }, { direction: "downstream" });
  client.send("b");
  await serverHas(server, "ab");
  await until("the answer is back", async () => connection?.arrived.downstream === 2);
  toxic.remove();
  await fence(line);
  expect(client.received).toBe("a");
});

test("toxics add up", async () => {
  const { server, line, client } = await connected();
  line.add({ type: "slicer", average_size: 2, delay: 2 }, { direction: "upstream" });
  line.add({ type: "limit_data", bytes: 5 }, { direction: "upstream" });
  client.send("bcdefghi");
  await client.ended();
  expect(server.chunks.join("")).toBe("abcdef");
});

test("what is cut before it is forwarded never arrives", async () => {
  const { server, line, client } = await connected();
  const watch = line.watch({ direction: "upstream", match: "commit" }, "cut");
  client.send("commit");
  expect(await client.ended()).toBe("reset");
  await watch.happened;
  expect(server.chunks).toEqual(["a"]);
});

test("what is cut before the answer has arrived, and its answer is kept back", async () => {
  const { server, line, client } = await connected();
  line.watch({ direction: "upstream", match: "commit" }, "forward_then_cut");
  client.send("commit");
  expect(await client.ended()).toBe("reset");
  expect(client.received).toBe("a");
  expect(server.chunks).toEqual(["a", "commit"]);
});

test.each([
  { name: "exact text", match: "record_lookups" },
  { name: "a pattern", match: /record_\w+ups/g },
])("a watch finds $name that is split over chunks", async ({ match }) => {
  const { server, line, client } = await connected();
  const found: string[] = [];
  const watch = line.watch({ direction: "upstream", match }, async (_connection, text) => {
    found.push(text);
    return "forward";
  });
  for (const [i, piece] of ["select record", "_loo", "kups(", ")"].entries()) {
    client.send(piece);
    await until("it has passed", async () => server.chunks.length === i + 2);
  }
  await watch.happened;
  expect(found).toEqual(["record_lookups"]);
  expect(server.chunks).toEqual(["a", "select record", "_loo", "kups(", ")"]);
});

test("bytes that are waited for stay until the action is done", async () => {
  const { server, line, client } = await connected();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const watch = line.watch({ direction: "upstream", match: "b" }, async () => {
    await released;
    return "forward";
  });
  client.send("b");
  await until("they are held", async () => watch.count === 1);
  await fence(line);
  expect(server.chunks).toEqual(["a", "fence"]);
  release();
  await client.hears("ab");
});

test("a watch acts as often as it was told to, then no more", async () => {
  const { server, line, client } = await connected();
  const watch = line.watch({ direction: "upstream", match: "x", times: 2 }, "drop");
  for (const text of ["x", "y", "x", "z", "x"]) {
    const { arrived } = line.connections[0] ?? { arrived: { upstream: 0 } };
    const before = arrived.upstream;
    client.send(text);
    await until("it has arrived", async () => arrived.upstream > before);
  }
  await client.hears("ayzx");
  expect(watch.count).toBe(2);
  expect(server.chunks).toEqual(["a", "y", "z", "x"]);
});

test("a watch on one direction is blind to the other", async () => {
  const { server, line, client } = await connected();
  const watch = line.watch({ direction: "downstream", match: "b" }, "cut");
  client.send("b");
  expect(await client.ended()).toBe("reset");
  expect(watch.count).toBe(1);
  expect(server.chunks).toEqual(["a", "b"]);
});

test("a watch can leave a connection hanging and others alone", async () => {
  const { server, line, client } = await connected();
  const watch = line.watch({ direction: "upstream", match: "b" }, "blackhole");
  client.send("b");
  await watch.happened;
  client.send("c");
  await fence(line);
  expect(server.chunks).toEqual(["a", "fence"]);
  expect(client.end).toBeNull();
});

test("a watch that was removed acts no more", async () => {
  const { line, client } = await connected();
  line.watch({ direction: "upstream", match: "b" }, "cut").remove();
  client.send("b");
  await client.hears("ab");
});

test("an action that fails resets the connection and is told to who waits for it", async () => {
  const { line, client } = await connected();
  const watch = line.watch({ direction: "upstream", match: "b" }, async () => {
    throw new Error("a broken test");
  });
  client.send("b");
  await expect(watch.happened).rejects.toThrow("a broken test");
  expect(await client.ended()).toBe("reset");
});

test("a test can cut one connection by hand", async () => {
  const { line, client } = await connected();
  const other = openEchoClient(line.port);
  other.send("b");
  await other.hears("b");
  expect(line.connections).toHaveLength(2);
  line.connections[0]?.cut();
  expect(await client.ended()).toBe("reset");
  await until("it is off the list", async () => line.connections.length === 1);
  other.send("c");
  await other.hears("bc");
});

test("after a repoint new connections go to the other server and old ones stay", async () => {
  const { line, client } = await connected();
  const standby = await startEchoServer("standby:");
  line.repoint("127.0.0.1", standby.port);
  const other = openEchoClient(line.port);
  other.send("b");
  await other.hears("standby:b");
  client.send("c");
  await client.hears("ac");
});

test("a server that refuses is felt as a reset", async () => {
  const { line: refusing } = await connected();
  await refusing.down();
  const line = await startFaultline(`tcp://127.0.0.1:${refusing.port}`);
  onTestFinished(() => line.close());
  expect(await openEchoClient(line.port).ended()).toBe("reset");
});

test("cleared, a line carries everything again", async () => {
  const { line } = await connected();
  line.add({ type: "blackhole" });
  line.watch({ direction: "upstream", match: "fence" }, "cut");
  line.clear();
  await fence(line);
});
