import { setTimeout as sleep } from "node:timers/promises";

/** Which way bytes go: "upstream" is from the client to the server. Toxiproxy's words. */
export type Direction = "upstream" | "downstream";

/** What goes wrong on the line: Shopify's Toxiproxy's vocabulary and units (ms, KB/s, bytes), and two of ours. */
export type Toxic =
  /** Each chunk arrives later, by `latency` ± `jitter` milliseconds, in order. */
  | { readonly type: "latency"; readonly latency: number; readonly jitter?: number }
  /** At most `rate` kilobytes a second. */
  | { readonly type: "bandwidth"; readonly rate: number }
  /** Whoever hangs up, the other side learns of it `delay` milliseconds later. */
  | { readonly type: "slow_close"; readonly delay: number }
  /** Nothing gets through, and the connection is closed after `timeout` milliseconds; 0: never. */
  | { readonly type: "timeout"; readonly timeout: number }
  /** A TCP reset to both sides, after `timeout` milliseconds. */
  | { readonly type: "reset_peer"; readonly timeout: number }
  /** Chunks are cut into pieces of `average_size` ± `size_variation` bytes, `delay` milliseconds apart. */
  | {
      readonly type: "slicer";
      readonly average_size: number;
      readonly size_variation?: number;
      readonly delay?: number;
    }
  /** The connection is closed once `bytes` bytes have got through. */
  | { readonly type: "limit_data"; readonly bytes: number }
  /** Bytes and hang-ups vanish in both directions, and both ends stay open. */
  | { readonly type: "blackhole" }
  /** The same in one direction only: the other still gets through. */
  | { readonly type: "one_way" };

/** What a toxic may do to the pipe it sits on: one direction of one connection. */
export interface ToxicPipe {
  /** Everything that comes this way from now on vanishes, and so does its end. There is no way back. */
  blacken(): void;
  /** Ends the connection: "reset" breaks it, "close" is a polite end. */
  cut(how: "reset" | "close"): void;
}

/** Some bytes on their way; `next` hands on what has become of them. */
export interface Passage {
  readonly bytes: Buffer;
  /** On the clock of performance.now(). */
  readonly arrivedAt: number;
  next(bytes: Buffer): Promise<void>;
}

/** A toxic at work on one pipe. */
export interface ToxicAtWork {
  /** Left out: it lets everything through. */
  pass?(passage: Passage): Promise<void>;
  /** How long the end of one side is kept from the other, in milliseconds. */
  readonly closeDelay?: number;
}

type Start<T> = (toxic: T, pipe: ToxicPipe, signal: AbortSignal) => ToxicAtWork;

const STARTS: { readonly [T in Toxic["type"]]: Start<Extract<Toxic, { type: T }>> } = {
  latency: ({ latency, jitter = 0 }, _pipe, signal) => ({
    async pass({ bytes, arrivedAt, next }) {
      // Counted from the arrival, so that chunks that came together do not wait for each other.
      const waited = performance.now() - arrivedAt;
      await pause(around(latency, jitter) - waited, signal);
      await next(bytes);
    },
  }),

  bandwidth: ({ rate }, _pipe, signal) => ({
    async pass({ bytes, next }) {
      // A tenth of a second at a time (chosen), so that the line is slow and not silent. A KB a second is a byte a millisecond.
      const step = Math.max(1, Math.floor(rate * 100));
      for (const piece of sliced(bytes, () => step)) {
        await pause(piece.length / rate, signal);
        await next(piece);
      }
    },
  }),

  slow_close: ({ delay }) => ({ closeDelay: delay }),

  timeout({ timeout }, pipe, signal) {
    pipe.blacken();
    if (timeout > 0) later(timeout, signal, () => pipe.cut("close"));
    return {};
  },

  reset_peer({ timeout }, pipe, signal) {
    later(timeout, signal, () => pipe.cut("reset"));
    return {};
  },

  slicer: ({ average_size, size_variation = 0, delay = 0 }, _pipe, signal) => ({
    async pass({ bytes, next }) {
      const size = () => Math.max(1, Math.round(around(average_size, size_variation)));
      for (const piece of sliced(bytes, size)) {
        await next(piece);
        await pause(delay, signal);
      }
    },
  }),

  limit_data({ bytes: limit }, pipe) {
    let left = limit;
    return {
      async pass({ bytes, next }) {
        const allowed = bytes.subarray(0, left);
        left -= allowed.length;
        if (allowed.length > 0) await next(allowed);
        if (left === 0) pipe.cut("close");
      },
    };
  },

  blackhole: blacken,
  one_way: blacken,
};

function blacken(_toxic: unknown, pipe: ToxicPipe): ToxicAtWork {
  pipe.blacken();
  return {};
}

/** Sets a toxic to work on a pipe, until `signal` says that it was removed or the connection is over. */
export function startToxic(toxic: Toxic, pipe: ToxicPipe, signal: AbortSignal): ToxicAtWork {
  return (STARTS[toxic.type] as Start<Toxic>)(toxic, pipe, signal);
}

/** The directions a toxic works on when the test names none: as in Toxiproxy, what the client receives. */
export function directionsOf(toxic: Toxic, direction: Direction | undefined): Direction[] {
  if (direction !== undefined) return [direction];
  if (toxic.type === "one_way") throw new Error("one_way needs a direction");
  return toxic.type === "blackhole" ? ["upstream", "downstream"] : ["downstream"];
}

/** A number drawn evenly from `middle` ± `variation`. */
function around(middle: number, variation: number): number {
  return middle + (2 * Math.random() - 1) * variation;
}

function* sliced(bytes: Buffer, size: () => number): Generator<Buffer> {
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + size());
    yield bytes.subarray(from, to);
    from = to;
  }
}

/** Waits; when the toxic is removed meanwhile, no longer. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => {});
}

function later(ms: number, signal: AbortSignal, act: () => void): void {
  const timer = setTimeout(act, ms);
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
}
