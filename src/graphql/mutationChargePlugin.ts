import { Kind } from "postgraphile/graphql";
import type { Admission } from "./admission.ts";
import { DOCUMENT, MUTATION_POINTS } from "./limits.ts";
import type { Viewer } from "./viewer.ts";

/**
 * A mutation counts for more than the request it comes in. What it is shows
 * only after the body was read, so this one is let through, and the caller's next request
 * is the one that is refused.
 */
export function mutationChargePlugin(charge: Admission["charge"]): GraphileConfig.Plugin {
  return {
    name: "BookpostMutationChargePlugin",
    version: "0.0.0",
    grafast: {
      middleware: {
        execute(next, { args }) {
          const { viewer } = (args.contextValue ?? {}) as { viewer?: Viewer };
          const operation = args.document.definitions.find(
            (d) => d.kind === Kind.OPERATION_DEFINITION,
          );
          if (viewer !== undefined && operation?.operation === "mutation") {
            const { selections } = operation.selectionSet;
            // What fragments spread out to is not counted anew: with one it is taken for the most that is let through.
            const fields = selections.every(({ kind }) => kind === Kind.FIELD)
              ? selections.length
              : DOCUMENT.rootFields;
            charge(viewer, MUTATION_POINTS * fields).catch(() => {});
          }
          return next();
        },
      },
    },
  };
}
