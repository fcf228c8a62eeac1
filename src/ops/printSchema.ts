import type { ClientBase } from "pg";
import { comments } from "./schema/comments.ts";
import { definitions } from "./schema/definitions.ts";
import { grants } from "./schema/grants.ts";
import { tableParts } from "./schema/tableParts.ts";

const HEADER = `-- What the schemas bookpost, bookpost_ops and bookpost_private are, printed from the
-- live catalogue by: npx bookpost schema --write
-- Generated: to change the schema, change the migrations. For reading and for review,
-- not for running. Partitions, the owner and the owner's own grants are left out.`;

/** One piece of the print, and where it stands: schema, object, place within the object. */
interface Piece {
  readonly schema: string;
  readonly kind: number;
  readonly object: string;
  readonly place: number;
  readonly detail: string;
  readonly text: string;
}

/**
 * Our three schemas as SQL-like text: the same catalogue gives the same text,
 * to the byte, whoever owns it. Sets the connection's search_path, and sets it
 * back; changes nothing else.
 */
export async function printSchema(client: ClientBase): Promise<string> {
  const { rows: settings } = await client.query<{ path: string }>(
    "select current_setting('search_path') as path",
  );
  // With an empty path Postgres writes every name with its schema.
  await client.query("select set_config('search_path', '', false)");
  const pieces: Piece[] = [];
  for (const section of [definitions, tableParts, comments, grants]) {
    const { rows } = await client.query<Piece>(
      `select s.schema_id::regnamespace::text as schema, s.kind, s.object, s.place, s.detail, s.text from (${section}) s`,
    );
    pieces.push(...rows);
  }
  await client.query("select set_config('search_path', $1, false)", [settings[0]?.path]);

  pieces.sort(
    (a, b) =>
      compare(a.schema, b.schema) ||
      a.kind - b.kind ||
      compare(a.object, b.object) ||
      a.place - b.place ||
      compare(a.detail, b.detail) ||
      compare(a.text, b.text),
  );
  const objects = Map.groupBy(pieces, (piece) => `${piece.schema}/${piece.kind}/${piece.object}`);
  const blocks = [...objects.values()].map((object) => object.map(({ text }) => text).join("\n"));
  return `${[HEADER, ...blocks].join("\n\n").replaceAll(/[ \t]+$/gm, "")}\n`;
}

/** By code unit: no machine's locale has a say. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
