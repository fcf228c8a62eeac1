import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  buildSchema,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type GraphQLType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
  typeFromAST,
  validate,
} from "graphql";

// node docs/example/write.ts: documents/*.graphql → documents.ts and
// persisted-documents.json. Small on purpose: no fragments, no unions. An app
// may let graphql-codegen do the same (client preset, persistedDocuments).

const HERE = import.meta.dirname;
const SCHEMA = join(HERE, "../../src/graphql/schema.graphql");

/** JSON has texts for all that is no number or boolean; a BigFloat too, so that no digit is lost. */
const SCALARS: Readonly<Record<string, string>> = {
  Int: "number",
  Float: "number",
  Boolean: "boolean",
};

/** A type of the schema in TypeScript; `object` writes what stands for its object types. */
function write(type: GraphQLType, object: (name: string) => string): string {
  if (isNonNullType(type)) return writeValue(type.ofType, object);
  return `${writeValue(type, object)} | null`;
}

function writeValue(type: GraphQLType, object: (name: string) => string): string {
  if (isListType(type)) return `ReadonlyArray<${write(type.ofType, object)}>`;
  const named = getNamedType(type);
  if (isEnumType(named)) return named.name;
  if (isObjectType(named) || isInputObjectType(named)) return object(named.name);
  return SCALARS[named.name] ?? "string";
}

/** The enums that some types name; where a line would be too long, a value a line. */
function writeEnums(schema: GraphQLSchema, types: string): string {
  const used = Object.values(schema.getTypeMap())
    .filter(isEnumType)
    .filter(({ name }) => new RegExp(`\\b${name}\\b`).test(types));
  return used
    .map((type) => {
      const values = type.getValues().map(({ name }) => `"${name}"`);
      const line = `export type ${type.name} = ${values.join(" | ")};`;
      const isLong = line.length > 100;
      return `\n${isLong ? `export type ${type.name} =\n  | ${values.join("\n  | ")};` : line}\n`;
    })
    .join("");
}

const indent = (text: string) => text.replaceAll("\n", "\n  ");

function writeFields(fields: readonly string[]): string {
  return fields.length === 0 ? "Record<string, never>" : `{${indent(`\n${fields.join("\n")}`)}\n}`;
}

function writeInput(schema: GraphQLSchema, name: string): string {
  const type = schema.getType(name);
  if (!isInputObjectType(type)) throw new Error(`${name} is no input`);
  return writeFields(
    Object.values(type.getFields()).map(
      (field) =>
        `readonly ${field.name}${isNonNullType(field.type) ? "" : "?"}: ${write(field.type, (inner) => writeInput(schema, inner))};`,
    ),
  );
}

function writeSelection(type: GraphQLObjectType, set: SelectionSetNode): string {
  return writeFields(
    set.selections.map((selection) => {
      if (selection.kind !== Kind.FIELD) throw new Error("Fragments are not supported.");
      const field = type.getFields()[selection.name.value];
      if (!field) throw new Error(`${type.name} has no field ${selection.name.value}.`);
      const inner = getNamedType(field.type) as GraphQLOutputType;
      const { selectionSet } = selection;
      const object = () =>
        writeSelection(inner as GraphQLObjectType, selectionSet as SelectionSetNode);
      return `readonly ${(selection.alias ?? selection.name).value}: ${write(field.type, object)};`;
    }),
  );
}

function writeVariables(schema: GraphQLSchema, operation: OperationDefinitionNode): string {
  return writeFields(
    (operation.variableDefinitions ?? []).map(({ variable, type, defaultValue }) => {
      const known = typeFromAST(schema, type as never) as GraphQLType;
      const isNeeded = isNonNullType(known) && defaultValue === undefined;
      return `readonly ${variable.name.value}${isNeeded ? "" : "?"}: ${write(known, (name) => writeInput(schema, name))};`;
    }),
  );
}

const HEAD = `// Written by write.ts from documents/*.graphql; do not edit.

/** A document by its id; the types are those of its answer and its variables. */
export interface Document<Result, Variables> {
  readonly id: string;
  /** Never there: only for the types. */
  readonly types?: (variables: Variables) => Result;
}
`;

/**
 * Both files as they should be: documents.ts and persisted-documents.json.
 * @throws Error naming the document that the schema does not take.
 */
export function generate(): { readonly types: string; readonly persisted: string } {
  const schema = buildSchema(readFileSync(SCHEMA, "utf8"));
  const persisted: Record<string, string> = {};
  let types = "";
  for (const file of readdirSync(join(HERE, "documents")).sort()) {
    const text = readFileSync(join(HERE, "documents", file), "utf8");
    const ast = parse(text);
    const [mistake] = validate(schema, ast);
    if (mistake) throw new Error(`${file}: ${mistake.message}`);
    const [operation] = ast.definitions as OperationDefinitionNode[];
    const root = operation && schema.getRootType(operation.operation);
    const name = operation?.name?.value;
    if (!root || `${name}.graphql` !== file || ast.definitions.length > 1)
      throw new Error(`${file} must have one operation, named as the file.`);
    const id = createHash("sha256").update(text).digest("hex");
    persisted[id] = text;
    types += `
export type ${name}Result = ${writeSelection(root, operation.selectionSet)};

export type ${name}Variables = ${writeVariables(schema, operation)};

export const ${name}: Document<${name}Result, ${name}Variables> = {
  id: "${id}",
};
`;
  }
  return {
    types: HEAD + writeEnums(schema, types) + types,
    persisted: `${JSON.stringify(persisted, null, 2)}\n`,
  };
}
