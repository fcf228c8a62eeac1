import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A fenced block of docs/app.md. `file`: of docs/example, where it is a part of one. */
export interface CodeBlock {
  readonly language: string;
  readonly file: string;
  readonly code: string;
}

/** What docs/app.md tells an app's developer: the text, its code, and the environment it says to start with. */
export function readAppGuide(): {
  readonly text: string;
  readonly blocks: readonly CodeBlock[];
  readonly environment: Readonly<Record<string, string>>;
} {
  const text = readFileSync(join(import.meta.dirname, "../../docs/app.md"), "utf8");
  const blocks = [...text.matchAll(/^```(\w+) ?(\S*)\n(.*?)^```$/gms)].map(
    ([, language = "", file = "", code = ""]) => ({ language, file, code: code.trimEnd() }),
  );
  const lines = blocks.find(({ language }) => language === "env")?.code.split("\n") ?? [];
  const environment = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
  return { text, blocks, environment };
}
