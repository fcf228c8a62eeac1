import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  parse,
  type ValidationRule,
  validate,
} from "postgraphile/graphql";
import { checkDocumentSize } from "./documentSize.ts";
import { DOCUMENT, DOCUMENTS_KEPT } from "./limits.ts";

export type CheckedDocument = { document: DocumentNode } | { errors: readonly GraphQLError[] };

/** Suggestions are kind to people and tell a stranger the names in the schema. */
export function withoutSuggestion(message: string): string {
  return message.replace(/ Did you mean .*$/s, "");
}

/** A document that is refused for these reasons, in words that help nobody to names. */
export function refused(errors: readonly GraphQLError[]): CheckedDocument {
  return {
    errors: errors.map(({ message, nodes, source, positions, extensions }) => {
      const code = { code: "BAD_DOCUMENT", ...extensions };
      return new GraphQLError(withoutSuggestion(message), {
        nodes,
        source,
        positions,
        extensions: code,
      });
    }),
  };
}

/** Parses, measures and validates a document; what has passed is remembered. */
export function createDocumentCheck(
  schema: GraphQLSchema,
  rules: readonly ValidationRule[],
): (text: string) => CheckedDocument {
  // A Map keeps its order of insertion: the first is the one that was used longest ago.
  const passed = new Map<string, DocumentNode>();

  function check(text: string): CheckedDocument {
    if (text.length > DOCUMENT.length)
      throw new GraphQLError(
        `The document has ${text.length} characters; at most ${DOCUMENT.length} are allowed.`,
        { extensions: { code: "DOCUMENT_TOO_BIG" } },
      );
    const document = parse(text, { maxTokens: DOCUMENT.tokens });
    checkDocumentSize(schema, document);
    const errors = validate(schema, document, rules, { maxErrors: DOCUMENT.errors });
    return errors.length === 0 ? { document } : refused(errors);
  }

  return (text) => {
    const known = passed.get(text);
    passed.delete(text);
    if (known !== undefined) {
      passed.set(text, known);
      return { document: known };
    }
    try {
      const checked = check(text);
      if ("document" in checked) passed.set(text, checked.document);
      const [oldest] = passed.keys();
      if (passed.size > DOCUMENTS_KEPT && oldest !== undefined) passed.delete(oldest);
      return checked;
    } catch (error) {
      if (error instanceof GraphQLError) return refused([error]);
      throw error;
    }
  };
}
