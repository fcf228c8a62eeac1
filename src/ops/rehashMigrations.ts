import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Until the first release the files of `migrations/committed` may still be
 * edited; graphile-migrate then wants their hashes made anew, each over its
 * predecessor's. Run by `npm run rehash`. After the first release this file
 * goes, and committed files are never touched again.
 */
const folder = join(import.meta.dirname, "../../migrations/committed");
let previous = "-";
for (const name of readdirSync(folder).sort()) {
  const path = join(folder, name);
  const body = readFileSync(path, "utf8")
    .replace(/^(--! .*\n)+\n?/, "")
    .trim();
  const chained = `${previous === "-" ? "" : previous}\n${body}`.trim();
  const hash = `sha1:${createHash("sha1").update(`${chained}\n`).digest("hex")}`;
  const message = name.replace(/^\d+-|\.sql$/g, "");
  writeFileSync(
    path,
    `--! Previous: ${previous}\n--! Hash: ${hash}\n--! Message: ${message}\n\n${body}\n`,
  );
  previous = hash;
}
