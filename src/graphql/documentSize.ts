import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isObjectType,
  Kind,
  type SelectionSetNode,
} from "postgraphile/graphql";
import { DEFAULT_PAGE_SIZE, DOCUMENT, MAX_PAGE_SIZE } from "./limits.ts";

/** How big a document is once all its fragments are spread out. */
interface Size {
  /** Fields on the first level. */
  readonly width: number;
  readonly depth: number;
  readonly fields: number;
  readonly aliases: number;
  readonly directives: number;
  /** Rows, and the fields of each that are a value; what both can be at most. */
  readonly values: number;
}

const NOTHING: Size = { width: 0, depth: 0, fields: 0, aliases: 0, directives: 0, values: 0 };

/** Side by side: counts add up, the deeper one is as deep as both. */
function beside(a: Size, b: Size): Size {
  return {
    width: a.width + b.width,
    depth: Math.max(a.depth, b.depth),
    fields: a.fields + b.fields,
    aliases: a.aliases + b.aliases,
    directives: a.directives + b.directives,
    values: a.values + b.values,
  };
}

function refuse(sentence: string): GraphQLError {
  return new GraphQLError(sentence, { extensions: { code: "DOCUMENT_TOO_BIG" } });
}

/** The rows one page of this field may have; null where the field is no connection. */
function pageSize(node: FieldNode, parent: GraphQLObjectType | undefined): number | null {
  const isConnection = parent?.getFields()[node.name.value]?.args.some((a) => a.name === "first");
  if (!isConnection) return null;
  const value = node.arguments?.find((a) => a.name.value === "first")?.value;
  if (value?.kind === Kind.VARIABLE) return MAX_PAGE_SIZE;
  // What is below 0 or above the maximum is refused when it runs, with its own sentence.
  if (value?.kind === Kind.INT) return Math.min(Math.max(Number(value.value), 0), MAX_PAGE_SIZE);
  return DEFAULT_PAGE_SIZE;
}

/** Measures selections; each fragment once, however often it is spread. */
class Measure {
  readonly #schema: GraphQLSchema;
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly #known = new Map<string, Size | "being measured">();

  constructor(schema: GraphQLSchema, document: DocumentNode) {
    this.#schema = schema;
    this.#fragments = new Map(
      document.definitions
        .filter((d) => d.kind === Kind.FRAGMENT_DEFINITION)
        .map((d) => [d.name.value, d]),
    );
  }

  selections(set: SelectionSetNode, parent: GraphQLObjectType | undefined): Size {
    return set.selections
      .map((node) => {
        const directives = node.directives?.length ?? 0;
        const size =
          node.kind === Kind.FIELD
            ? this.#field(node, parent)
            : node.kind === Kind.FRAGMENT_SPREAD
              ? this.#fragment(node.name.value)
              : this.selections(
                  node.selectionSet,
                  this.#type(node.typeCondition?.name.value, parent),
                );
        return { ...size, directives: size.directives + directives };
      })
      .reduce(beside, NOTHING);
  }

  #type(name: string | undefined, otherwise?: GraphQLObjectType): GraphQLObjectType | undefined {
    const type = name === undefined ? otherwise : this.#schema.getType(name);
    return isObjectType(type) ? type : undefined;
  }

  #field(node: FieldNode, parent: GraphQLObjectType | undefined): Size {
    // Introspection has a rule of its own in graphql-js, and production refuses it altogether.
    const isIntrospection = node.name.value === "__schema" || node.name.value === "__type";
    const type = getNamedType(parent?.getFields()[node.name.value]?.type);
    const inside =
      node.selectionSet === undefined || isIntrospection
        ? NOTHING
        : this.selections(node.selectionSet, isObjectType(type) ? type : undefined);
    const page = pageSize(node, parent);
    const values = node.selectionSet === undefined ? 1 : inside.values;
    return {
      width: 1,
      depth: inside.depth + 1,
      fields: inside.fields + 1,
      aliases: inside.aliases + (node.alias ? 1 : 0),
      directives: inside.directives,
      values: page === null ? values : page * (1 + values),
    };
  }

  #fragment(name: string): Size {
    const known = this.#known.get(name);
    if (known === "being measured") throw refuse(`The fragment "${name}" contains itself.`);
    if (known !== undefined) return known;
    const fragment = this.#fragments.get(name);
    // Validation tells of it.
    if (fragment === undefined) return NOTHING;
    this.#known.set(name, "being measured");
    const size = this.selections(
      fragment.selectionSet,
      this.#type(fragment.typeCondition.name.value),
    );
    this.#known.set(name, size);
    return size;
  }
}

/** Measure → its limit, and how a document that is beyond it is told so. */
const LIMITS: Readonly<
  Record<keyof Size, { most: number; tell(is: string, most: string): string }>
> = {
  width: {
    most: DOCUMENT.rootFields,
    tell: (is, most) => `The document asks ${is} things at once; at most ${most} are allowed.`,
  },
  depth: {
    most: DOCUMENT.depth,
    tell: (is, most) => `The document is ${is} levels deep; at most ${most} are allowed.`,
  },
  fields: {
    most: DOCUMENT.fields,
    tell: (is, most) => `The document has ${is} fields; at most ${most} are allowed.`,
  },
  aliases: {
    most: DOCUMENT.aliases,
    tell: (is, most) => `The document has ${is} aliases; at most ${most} are allowed.`,
  },
  directives: {
    most: DOCUMENT.directives,
    tell: (is, most) => `The document has ${is} directives; at most ${most} are allowed.`,
  },
  values: {
    most: DOCUMENT.values,
    tell: (is, most) =>
      `The document may read ${is} values; at most ${most} are allowed. Ask for smaller pages with "first", or for fewer fields.`,
  },
};

/**
 * Throws a GraphQLError when the document is bigger than `DOCUMENT` allows.
 * Takes time in proportion to its own length, whatever it would spread out to.
 */
export function checkDocumentSize(schema: GraphQLSchema, document: DocumentNode): void {
  const operations = document.definitions.filter((d) => d.kind === Kind.OPERATION_DEFINITION);
  const [operation] = operations;
  if (operation === undefined || operations.length > 1)
    throw refuse(`A document has one operation; this one has ${operations.length}.`);
  const root = schema.getRootType(operation.operation);
  // Nobody refuses this before planning, and there it would be an error of ours.
  if (!root)
    throw new GraphQLError(`This API has no ${operation.operation}.`, {
      extensions: { code: "BAD_DOCUMENT" },
    });
  const size = new Measure(schema, document).selections(operation.selectionSet, root);
  for (const key of Object.keys(LIMITS) as (keyof Size)[]) {
    const { most, tell } = LIMITS[key];
    if (size[key] > most) throw refuse(tell(inWords(size[key]), inWords(most)));
  }
}

/** 20000 → "20,000"; what doubling fragments reach has no use for digits. */
function inWords(count: number): string {
  return count < 1e9 ? count.toLocaleString("en") : "billions of";
}
