import { readFileSync } from "node:fs";
import type { GraphQLSchema, ValidationRule } from "postgraphile/graphql";
import type { Config } from "../config.ts";
import { UsageError } from "../errors.ts";
import { createDocumentCheck } from "./documentCheck.ts";

/** Id → document. Null: every document is answered. */
export type TrustedDocuments = ReadonlyMap<string, string> | null;

/**
 * The documents that are answered, as TRUSTED_DOCUMENTS says.
 * @throws UsageError in production where it says nothing, and for a file that cannot be read or is no map of documents.
 */
export function readTrustedDocuments(
  config: Pick<Config, "isDevelopment" | "access">,
): TrustedDocuments {
  const path = config.access.trustedDocuments;
  if (path === "any" || (path === null && config.isDevelopment)) return null;
  if (path === null)
    throw new UsageError(
      "NO_TRUSTED_DOCUMENTS",
      "In production the API answers known documents only: set TRUSTED_DOCUMENTS to your client's file of them (persisted-documents.json), or to any, to answer every document within the limits.",
    );
  const documents = parse(path);
  if (documents === null)
    throw refuse(
      `TRUSTED_DOCUMENTS is "${path}", which must be a JSON object of documents by their ids, such as persisted-documents.json; and is not.`,
    );
  return documents;
}

function parse(path: string): ReadonlyMap<string, string> | null {
  try {
    const content: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof content !== "object" || content === null || Array.isArray(content)) return null;
    const entries = Object.entries(content);
    return entries.every(([, text]) => typeof text === "string") ? new Map(entries) : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    const { code } = error as NodeJS.ErrnoException;
    throw refuse(`TRUSTED_DOCUMENTS is "${path}", and that file cannot be read (${code}).`);
  }
}

/**
 * Holds every document against the schema and the limits, so that one that
 * would be refused is found at the start and not by the app's users.
 * @throws UsageError with one sentence for each that is wrong.
 */
export function checkTrustedDocuments(
  schema: GraphQLSchema,
  rules: readonly ValidationRule[],
  documents: TrustedDocuments,
): void {
  if (documents === null) return;
  const check = createDocumentCheck(schema, rules);
  const wrong = [...documents].flatMap(([id, text]) => {
    const checked = check(text);
    return "errors" in checked
      ? [`Document "${id}": ${checked.errors.map(({ message }) => message).join(" ")}`]
      : [];
  });
  if (wrong.length > 0)
    throw refuse(
      `${wrong.length} of the ${documents.size} documents in TRUSTED_DOCUMENTS would be refused.\n${wrong.join("\n")}`,
    );
}

function refuse(sentence: string): UsageError {
  return new UsageError("BAD_TRUSTED_DOCUMENTS", sentence);
}
