import type { GraphQLSchema, ValidationRule } from "postgraphile/graphql";
import { type CheckedDocument, createDocumentCheck } from "./documentCheck.ts";

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
            return { ...config, parseAndValidate: check };
          };
          return next();
        },
      },
    },
  };
}
