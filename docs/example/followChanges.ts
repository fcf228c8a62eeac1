import type { Client } from "./client.ts";
import { Changes, type ChangesResult } from "./documents.ts";

export type Change = ChangesResult["changes"]["nodes"][number];

/**
 * Hands over what changes after a cursor, page by page and in order, now and
 * whenever the API says so. `onPage` keeps the changes and the cursor, best in
 * one transaction: whoever dies between goes on from the cursor that is kept.
 *
 * `onError` hears of what stopped it: CURSOR_EXPIRED means read everything
 * anew from LatestCursor; otherwise begin again from the kept cursor. Returns
 * what stops it.
 */
export function followChanges(
  client: Client,
  options: {
    readonly after: string;
    readonly onPage: (changes: readonly Change[], cursor: string) => void | Promise<void>;
    readonly onError: (error: unknown) => void;
  },
): () => void {
  let cursor = options.after;
  let isStopped = false;
  let isWanted = false;
  let isReading = false;

  async function readOn(): Promise<void> {
    isWanted = true;
    // Who reads already looks once more at its end.
    if (isReading) return;
    isReading = true;
    try {
      while (isWanted && !isStopped) {
        isWanted = false;
        const { changes } = await client.ask(Changes, { after: cursor });
        if (isStopped) return;
        const { endCursor, hasNextPage } = changes.pageInfo;
        if (changes.nodes.length > 0) await options.onPage(changes.nodes, endCursor ?? cursor);
        cursor = endCursor ?? cursor;
        if (hasNextPage) isWanted = true;
      }
    } catch (error) {
      fail(error);
    } finally {
      isReading = false;
    }
  }

  function fail(error: unknown): void {
    if (isStopped) return;
    stop();
    options.onError(error);
  }

  const stopListening = client.listen(() => void readOn(), fail);
  function stop(): void {
    isStopped = true;
    stopListening();
  }
  return stop;
}
