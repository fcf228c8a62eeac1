import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createNameReader } from "./startupPacket.ts";
import { type Direction, startToxic, type Toxic, type ToxicAtWork } from "./toxics.ts";

/** What becomes of bytes that were waited for. To hold them, let the action's promise wait. */
export type Verdict =
  /** They go on. */
  | "forward"
  /** They vanish; what follows goes on. */
  | "drop"
  /** The connection is reset, and they never arrive. */
  | "cut"
  /** They go on, and the connection is reset when the answer comes, which is not relayed: the work is done and its caller does not know. */
  | "forward_then_cut"
  /** From now on everything vanishes in both directions, these bytes too, and both ends stay open. */
  | "blackhole";

/** One client's connection through the line, as a test sees it. */
export interface LineConnection {
  /** As Postgres's startup packet says; null: not known yet, or none. */
  readonly applicationName: string | null;
  readonly isOpen: boolean;
  /** How many bytes have arrived at the line, by direction; whether they got through is another matter. */
  readonly arrived: Readonly<Record<Direction, number>>;
  /** Resets it, to both sides. */
  cut(): void;
}

export interface Pipeline extends LineConnection {
  attach(key: object, toxic: Toxic, directions: readonly Direction[]): void;
  detach(key: object): void;
  readonly closed: Promise<void>;
}

interface Target {
  readonly host: string;
  readonly port: number;
}

interface ConnectionOptions {
  readonly target: Target;
  /** Called once the application_name is known, before the bytes that tell it go on. */
  readonly onName: (connection: Pipeline) => void;
  /** Asked about each chunk before it goes on. */
  readonly judge: (
    connection: Pipeline,
    direction: Direction,
    bytes: Buffer,
  ) => Promise<Verdict> | null;
}

/** Chosen: what one direction keeps in memory before it lets its sender wait. */
const HIGH_WATER = 1 << 20;

/** Carries bytes between `client` and a new connection to `target`, a chunk at a time and in order. */
export function openConnection(client: Socket, options: ConnectionOptions): Pipeline {
  const server = connect({ ...options.target, allowHalfOpen: true, noDelay: true });
  client.setNoDelay(true);
  const over = new AbortController();
  const readName = createNameReader();
  let applicationName: string | null = null;
  const { promise: closed, resolve: resolveClosed } = Promise.withResolvers<void>();
  const arrived = { upstream: 0, downstream: 0 };

  const cut = () => {
    over.abort();
    client.resetAndDestroy();
    server.resetAndDestroy();
  };
  const close = () => {
    over.abort();
    client.destroySoon();
    server.destroySoon();
  };
  const pipes = {
    upstream: createPipe("upstream", client, server),
    downstream: createPipe("downstream", server, client),
  };
  const connection: Pipeline = {
    get applicationName() {
      return applicationName;
    },
    get isOpen() {
      return !(client.destroyed && server.destroyed);
    },
    arrived,
    cut,
    attach(key, toxic, directions) {
      for (const direction of directions) pipes[direction].attach(key, toxic);
    },
    detach(key) {
      for (const pipe of Object.values(pipes)) pipe.detach(key);
    },
    closed,
  };

  function createPipe(direction: Direction, source: Socket, sink: Socket) {
    const toxics = new Map<object, { readonly work: ToxicAtWork; readonly end: AbortController }>();
    const queue: { readonly bytes: Buffer; readonly arrivedAt: number }[] = [];
    let queued = 0;
    let isBusy = false;
    let isBlack = false;
    let isCutAtNext = false;
    let end: "open" | "ended" | "broken" | "told" = "open";

    source.on("data", (bytes) => {
      arrived[direction] += bytes.length;
      queue.push({ bytes, arrivedAt: performance.now() });
      queued += bytes.length;
      if (queued > HIGH_WATER) source.pause();
      void work();
    });
    source.on("end", () => {
      if (end === "open") end = "ended";
      void work();
    });
    source.on("error", () => {
      if (end === "open") end = "broken";
      void work();
    });
    source.on("close", () => {
      if (end === "open") end = "broken";
      void work();
      if (client.destroyed && server.destroyed) {
        over.abort();
        resolveClosed();
      }
    });

    async function work(): Promise<void> {
      if (isBusy) return;
      isBusy = true;
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        await carry(next.bytes, next.arrivedAt);
        queued -= next.bytes.length;
        if (source.isPaused() && queued <= HIGH_WATER) source.resume();
      }
      if (end === "ended" || end === "broken") {
        const how = end;
        end = "told";
        await tellEnd(how);
      }
      isBusy = false;
    }

    async function carry(bytes: Buffer, arrivedAt: number): Promise<void> {
      if (over.signal.aborted) return;
      if (direction === "upstream" && applicationName === null) {
        const name = readName(bytes);
        if (typeof name === "string") {
          applicationName = name;
          options.onName(connection);
        }
      }
      if (isBlack) return;
      if (isCutAtNext) return cut();
      const verdict = (await options.judge(connection, direction, bytes)) ?? "forward";
      if (over.signal.aborted) return;
      if (verdict === "cut") return cut();
      if (verdict === "drop") return;
      if (verdict === "blackhole") for (const pipe of Object.values(pipes)) pipe.blacken();
      // Before they go: the answer may be back before the write is told to be done.
      if (verdict === "forward_then_cut") pipes[opposite(direction)].cutAtNext();
      await through(
        [...toxics.values()].map((toxic) => toxic.work),
        bytes,
        arrivedAt,
      );
    }

    async function through(
      [first, ...rest]: readonly ToxicAtWork[],
      bytes: Buffer,
      arrivedAt: number,
    ): Promise<void> {
      if (isBlack || over.signal.aborted) return;
      if (first === undefined) return write(bytes);
      const next = (changed: Buffer) => through(rest, changed, arrivedAt);
      if (first.pass === undefined) return next(bytes);
      return first.pass({ bytes, arrivedAt, next });
    }

    /** Waits until the bytes are with the system, or nobody wants them. */
    function write(bytes: Buffer): Promise<void> {
      return new Promise((resolve) => {
        if (sink.destroyed || sink.writableEnded) return resolve();
        const done = () => {
          sink.off("close", done);
          resolve();
        };
        sink.once("close", done);
        sink.write(bytes, done);
      });
    }

    async function tellEnd(how: "ended" | "broken"): Promise<void> {
      const delay = Math.max(0, ...[...toxics.values()].map(({ work }) => work.closeDelay ?? 0));
      if (delay > 0) await sleep(delay, undefined, { signal: over.signal }).catch(() => {});
      if (isBlack) return;
      if (how === "ended") sink.end();
      // A client that is refused by its server is refused by the line.
      else cut();
    }

    const pipe = {
      blacken() {
        isBlack = true;
      },
      cutAtNext() {
        isCutAtNext = true;
      },
      attach(key: object, toxic: Toxic) {
        const end = new AbortController();
        const signal = AbortSignal.any([over.signal, end.signal]);
        const handle = {
          blacken: pipe.blacken,
          cut: (how: "reset" | "close") => (how === "reset" ? cut() : close()),
        };
        toxics.set(key, { work: startToxic(toxic, handle, signal), end });
      },
      detach(key: object) {
        toxics.get(key)?.end.abort();
        toxics.delete(key);
      },
    };
    return pipe;
  }
  return connection;
}

function opposite(direction: Direction): Direction {
  return direction === "upstream" ? "downstream" : "upstream";
}
