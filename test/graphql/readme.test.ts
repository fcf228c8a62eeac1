import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildSchema, parse, validate } from "postgraphile/graphql";
import { expect, test } from "vitest";
import { checkDocumentSize } from "../../src/graphql/documentSize.ts";

const ROOT = join(import.meta.dirname, "../..");

test("the README's query is one that the API takes", () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const queries = [...readme.matchAll(/```graphql\n(.*?)```/gs)].map(([, text = ""]) =>
    parse(text),
  );
  expect(queries.length).toBeGreaterThan(0);
  const schema = buildSchema(readFileSync(join(ROOT, "src/graphql/schema.graphql"), "utf8"));
  for (const query of queries) {
    expect(validate(schema, query)).toEqual([]);
    expect(() => checkDocumentSize(schema, query)).not.toThrow();
  }
});
