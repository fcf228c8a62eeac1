import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { tableAsMarkdown } from "./tableAsMarkdown.ts";

/**
 * Prints docs/failures.md from the table. With --write it writes the file, with
 * --check it only compares, and ends with 1 when the file is not current.
 */
const FILE = join(import.meta.dirname, "../../docs/failures.md");

const { values } = parseArgs({
  options: {
    write: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
  },
});
const printed = tableAsMarkdown();
if (values.write) await writeFile(FILE, printed);
else if (!values.check) process.stdout.write(printed);
else if ((await readFile(FILE, "utf8")) !== printed) {
  console.error(
    "docs/failures.md is not what test/faults/table.ts gives. Run: node test/faults/printTable.ts --write",
  );
  process.exitCode = 1;
}
