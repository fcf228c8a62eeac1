import type { ChangeHub } from "./changeHub.ts";
import type { ChangeEvent } from "./changeQueue.ts";

/** Events that were asked for and not taken yet. */
class Demand {
  #asked = 0;
  #wake = () => {};

  ask(): void {
    this.#asked += 1;
    this.#wake();
  }

  /** Resolves when one was asked for. One waits at a time. */
  async take(): Promise<void> {
    if (this.#asked === 0)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#asked -= 1;
  }
}

/** The source, of which the next event is taken only when it was asked for. */
function held(source: AsyncIterableIterator<ChangeEvent>, demand: Demand) {
  return {
    async next() {
      await demand.take();
      return source.next();
    },
    return: (value?: unknown) => source.return?.(value) ?? Promise.resolve({ done: true, value }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** The results; whoever wants the next one asks for an event. */
function asking<T>(results: AsyncGenerator<T>, demand: Demand): AsyncGenerator<T> {
  return {
    next(...args) {
      demand.ask();
      return results.next(...args);
    },
    return: (value) => results.return(value),
    throw: (error) => results.throw(error),
    [Symbol.asyncDispose]: () => results[Symbol.asyncDispose](),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/**
 * An event is taken from a subscriber's queue when the socket has sent the one
 * before. Grafast alone takes events as fast as they come, runs them, and keeps the results
 * without a bound for a client that reads slowly or not at all; now
 * they wait in the queue, which has one (`CHANGE_HUB.waiting`).
 */
export const pacePlugin: GraphileConfig.Plugin = {
  name: "BookpostPacePlugin",
  version: "0.0.0",
  grafast: {
    middleware: {
      async subscribe(next, { args }) {
        const demand = new Demand();
        const context = args.contextValue as { readonly changeHub: ChangeHub };
        const { changeHub } = context;
        args.contextValue = {
          ...context,
          changeHub: {
            subscribe: (interest: Parameters<ChangeHub["subscribe"]>[0]) =>
              held(changeHub.subscribe(interest), demand),
          },
        } as unknown as Grafast.Context;
        const results = await next();
        return Symbol.asyncIterator in results
          ? asking(results as AsyncGenerator<never>, demand)
          : results;
      },
    },
  },
};
