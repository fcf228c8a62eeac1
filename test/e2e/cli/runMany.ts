// Run as a process by bookpost.ts: one command line after the other, as messages, each in an environment of its own.
import { main } from "../../../src/cli/main.ts";
import type { Ended, Job } from "./bookpost.ts";

let said = { stdout: "", stderr: "" };
for (const stream of ["stdout", "stderr"] as const)
  process[stream].write = ((text: string, done?: () => void) => {
    said[stream] += text;
    done?.();
    return true;
  }) as typeof process.stdout.write;

async function run({ args, env }: Job): Promise<Ended> {
  process.env = { ...env };
  said = { stdout: "", stderr: "" };
  const code = await main(args);
  // Each run listens for a broken pipe, since each is the only one in its process.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners("error");
  return { code, ...said };
}

let last: Promise<unknown> = Promise.resolve();
process.on("message", (job: Job) => {
  last = last.then(async () => process.send?.({ id: job.id, ended: await run(job) }));
});
process.on("disconnect", () => process.exit(0));
