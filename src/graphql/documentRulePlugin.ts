import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  NoSchemaIntrospectionCustomRule,
  parse,
  type ValidationRule,
  validate,
} from "postgraphile/graphql";
import { checkDocumentSize } from "./documentSize.ts";
import { DOCUMENT, DOCUMENTS_KEPT } from "./limits.ts";

type Checked = { document: DocumentNode } | { errors: readonly GraphQLError[] };

/** Suggestions are kind to people and tell a stranger the names in the schema. */
export function withoutSuggestion(message: string): string {
  return message.replace(/ Did you mean .*$/s, "");
}

function refused(errors: readonly GraphQLError[]): Checked {
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
function createDocumentCheck(
  schema: GraphQLSchema,
  rules: readonly ValidationRule[],
): (text: string) => Checked {
  // A Map keeps its order of insertion: the first is the one that was used longest ago.
  const passed = new Map<string, DocumentNode>();

  function check(text: string): Checked {
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

/**
 * Subscriptions are for WebSockets, where somebody sees to their end; queries and mutations for HTTP, where their limits are.
 */
function checkTransport(checked: Checked, isSocket: boolean): Checked {
  if ("errors" in checked) return checked;
  const operation = getOperationAST(checked.document)?.operation;
  if ((operation === "subscription") === isSocket) return checked;
  return refused([
    new GraphQLError(
      isSocket
        ? "Send queries and mutations over HTTP; a WebSocket is for subscriptions."
        : "Subscribe over a WebSocket, by the protocol graphql-transport-ws, at this same path.",
    ),
  ]);
}

/** Puts our measure before validation, and before all planning. */
export function documentRulePlugin(options: { introspection: boolean }): GraphileConfig.Plugin {
  return {
    name: "BookpostDocumentRulePlugin",
    version: "0.0.0",
    grafserv: {
      middleware: {
        setPreset(next, event) {
          if (!options.introspection) event.validationRules.push(NoSchemaIntrospectionCustomRule);
          const getExecutionConfig = event.getExecutionConfig;
          const checks = new WeakMap<GraphQLSchema, (text: string) => Checked>();
          event.getExecutionConfig = async function (context) {
            const config = await getExecutionConfig.call(this, context);
            const check =
              checks.get(config.schema) ??
              createDocumentCheck(config.schema, event.validationRules);
            checks.set(config.schema, check);
            const isSocket = context.ws !== undefined;
            return {
              ...config,
              parseAndValidate: (text) => checkTransport(check(text), isSocket),
            };
          };
          return next();
        },
      },
    },
  };
}
