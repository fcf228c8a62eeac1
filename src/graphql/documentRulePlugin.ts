import {
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  type ValidationRule,
} from "postgraphile/graphql";
import { type CheckedDocument, createDocumentCheck, refused } from "./documentCheck.ts";

/**
 * Subscriptions are for WebSockets, where somebody sees to their end; queries and mutations for HTTP, where their limits are.
 */
function checkTransport(checked: CheckedDocument, isSocket: boolean): CheckedDocument {
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

/** Puts our measure before validation by `rules`, and before all planning: over HTTP and over WebSocket alike. */
export function documentRulePlugin(rules: readonly ValidationRule[]): GraphileConfig.Plugin {
  return {
    name: "BookpostDocumentRulePlugin",
    version: "0.0.0",
    grafserv: {
      middleware: {
        setPreset(next, event) {
          const getExecutionConfig = event.getExecutionConfig;
          const checks = new WeakMap<GraphQLSchema, (text: string) => CheckedDocument>();
          event.getExecutionConfig = async function (context) {
            const config = await getExecutionConfig.call(this, context);
            const check = checks.get(config.schema) ?? createDocumentCheck(config.schema, rules);
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
