// Run as a process by bookpostEach: command lines in BOOKPOST_LINES, their ends as JSON on stdout.
import { main } from "../../../src/cli/main.ts";
import type { Ended } from "./bookpost.ts";

const print = process.stdout.write.bind(process.stdout);
let said = { stdout: "", stderr: "" };
for (const stream of ["stdout", "stderr"] as const)
  process[stream].write = ((text: string, done?: () => void) => {
    said[stream] += text;
    done?.();
    return true;
  }) as typeof process.stdout.write;

const ended: Ended[] = [];
for (const line of JSON.parse(process.env.BOOKPOST_LINES ?? "[]") as string[][]) {
  said = { stdout: "", stderr: "" };
  const code = await main(line);
  ended.push({ code, ...said });
  // Each run listens for a broken pipe, since each is the only one in its process.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners("error");
}
print(JSON.stringify(ended), () => process.exit(0));
