import type { ToldChange } from "../../sql/changesSince.ts";
import { CHANGE_HUB } from "../limits.ts";

/** What a subscriber hears: a change, or that she may have missed some and should read on from her cursor. */
export interface ChangeEvent {
  readonly change: ToldChange | null;
}

const READ_ON: ChangeEvent = { change: null };
const DONE = { value: undefined, done: true } as const;

/**
 * What waits for one subscriber, in order. It never grows beyond
 * `CHANGE_HUB.waiting`: then all of it is dropped for one "read on".
 */
export class ChangeQueue implements AsyncIterableIterator<ChangeEvent> {
  #waiting: ChangeEvent[] = [];
  #takers: ((result: IteratorResult<ChangeEvent, undefined>) => void)[] = [];
  #isEnded = false;
  readonly #onEnd: () => void;

  /** `onEnd` is called once, when the subscriber leaves or the queue is ended. */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  push(change: ToldChange): void {
    this.#put({ change });
  }

  /** Tells the subscriber to read on from her cursor; what waits for her is in what she will read. */
  pushReadOn(): void {
    this.#waiting = [];
    this.#put(READ_ON);
  }

  #put(event: ChangeEvent): void {
    if (this.#isEnded) return;
    const taker = this.#takers.shift();
    if (taker) taker({ value: event, done: false });
    else if (this.#waiting.length < CHANGE_HUB.waiting) this.#waiting.push(event);
    else this.#waiting = [READ_ON];
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#waiting = [];
    for (const taker of this.#takers.splice(0)) taker(DONE);
    this.#onEnd();
  }

  async next(): Promise<IteratorResult<ChangeEvent, undefined>> {
    const event = this.#waiting.shift();
    if (event) return { value: event, done: false };
    if (this.#isEnded) return DONE;
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  async return(): Promise<IteratorResult<ChangeEvent, undefined>> {
    this.end();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
