import "../ops/graphileEnvironment.ts";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { withTemporaryDatabase } from "../ops/withTemporaryDatabase.ts";
import { printApiSchema } from "./printApiSchema.ts";

/**
 * Writes schema.graphql beside this file, from the migrations alone. With
 * --check it writes nothing, and ends with 1 when the file is not what it would
 * have written.
 */
const FILE = join(import.meta.dirname, "schema.graphql");

const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
const printed = await withTemporaryDatabase(printApiSchema);
if (!values.check) {
  await writeFile(FILE, printed);
} else if ((await readFile(FILE, "utf8")) !== printed) {
  console.error(
    "src/graphql/schema.graphql is not what the migrations give. Run: node src/graphql/writeSchema.ts",
  );
  process.exitCode = 1;
}
