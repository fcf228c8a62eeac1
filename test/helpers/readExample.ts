import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The text of a file of docs/example. */
export function readExample(file: string): Promise<string> {
  return readFile(join(import.meta.dirname, "../../docs/example", file), "utf8");
}
