import { setInterval } from "node:timers/promises";
import { processBirth } from "./embedded/processBirth.ts";
import { type EmbeddedServer, startEmbeddedPostgres } from "./embeddedPostgres.ts";

/** Chosen: worker and API reconnect within seconds; a second more of absence is nothing to them. */
const LOOK_MS = 1_000;

/**
 * Starts the embedded Postgres under `root` again whenever it ends by itself
 * (killed, out of memory), on the port where everybody looks for it, until
 * `signal`. Hands each new one to `onReturn`; resolves when no start is under way.
 * @throws BookpostError when it cannot be started again.
 */
export async function keepEmbeddedPostgres(options: {
  readonly root: string;
  readonly server: EmbeddedServer;
  readonly signal: AbortSignal;
  readonly onProgress: (sentence: string) => void;
  readonly onReturn: (server: EmbeddedServer) => void;
}): Promise<void> {
  const { root, signal, onProgress, onReturn } = options;
  let { pid, port } = options.server;
  try {
    for await (const _ of setInterval(LOOK_MS, undefined, { signal, ref: false })) {
      if ((await processBirth(pid)) !== null || signal.aborted) continue;
      onProgress(`Postgres (process ${pid}) has ended by itself; starting it again`);
      const server = await startEmbeddedPostgres(root, { port, onProgress });
      ({ pid, port } = server);
      onReturn(server);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
