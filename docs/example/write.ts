import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { generate } from "./generate.ts";

// node docs/example/write.ts, after a change of a document or of the schema.
const { types, persisted } = generate();
writeFileSync(join(import.meta.dirname, "documents.ts"), types);
writeFileSync(join(import.meta.dirname, "persisted-documents.json"), persisted);
