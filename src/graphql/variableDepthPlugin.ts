import { SafeError } from "postgraphile/grafast";
import { VARIABLE_DEPTH } from "./limits.ts";

/** Whether lists and objects stand in one another deeper than `most`. Goes level by level, so that no depth overflows the stack. */
function isDeeperThan(most: number, value: unknown): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > most) return true;
    level = level
      .filter((each) => typeof each === "object" && each !== null)
      .flatMap((each) => Object.values(each as object));
  }
  return false;
}

/**
 * Variables are nested no deeper than any input of ours. What reads them
 * recurses: 10,000 lists in one another were refused with "Maximum call stack
 * size exceeded". Over HTTP and over WebSocket alike.
 */
export const variableDepthPlugin: GraphileConfig.Plugin = {
  name: "BookpostVariableDepthPlugin",
  version: "0.0.0",
  grafserv: {
    middleware: {
      processGraphQLRequestBody(next, { body }) {
        if (isDeeperThan(VARIABLE_DEPTH, body.variableValues))
          throw new SafeError(
            `Variables may be nested ${VARIABLE_DEPTH} levels deep; these are deeper.`,
            { code: "BAD_INPUT", statusCode: 400 },
          );
        return next();
      },
    },
  },
};
