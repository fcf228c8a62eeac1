import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** A process of the bench's, and the first thing it said. */
export interface BenchProcess<Said> {
  readonly child: ChildProcess;
  readonly said: Said;
  stop(): Promise<void>;
}

/** Starts one of this folder's programs and waits for its first message. @throws when it ends before. */
export async function startProcess<Said>(
  file: "apiServer.ts" | "handServer.ts" | "load.ts",
  environment: Readonly<Record<string, string>>,
): Promise<BenchProcess<Said>> {
  const child = fork(join(import.meta.dirname, file), {
    env: { ...process.env, NODE_ENV: "production", GRAPHILE_ENV: "production", ...environment },
  });
  const ended = once(child, "exit");
  const [said] = (await Promise.race([
    once(child, "message"),
    ended.then(([code]) => {
      throw new Error(`${file} ended with ${code} before it was ready`);
    }),
  ])) as [Said];
  return {
    child,
    said,
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
