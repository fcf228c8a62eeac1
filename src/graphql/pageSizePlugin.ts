import type { ConnectionStep, FieldArg, Step } from "postgraphile/grafast";
import { lambda, SafeError } from "postgraphile/grafast";
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from "./limits.ts";

/** Throws for what is not a page size of ours; null counts as not given. */
export function checkPageSize(first: number | null | undefined): number {
  if (first === null || first === undefined) return DEFAULT_PAGE_SIZE;
  if (first >= 0 && first <= MAX_PAGE_SIZE) return first;
  throw new SafeError(
    `A page has 0 to ${MAX_PAGE_SIZE} rows; "first: ${first}" is outside. Page on with "after".`,
    { code: "BAD_INPUT" },
  );
}

/**
 * Connections page forward only, by cursor, at most `MAX_PAGE_SIZE` rows at a
 * time. The check is part of the plan, so it sees literals and variables alike
 * and refuses before any SQL is sent. `offset` would read and throw away all
 * it skips; `last` and `before` would read an index backwards against our order.
 */
export const pageSizePlugin: GraphileConfig.Plugin = {
  name: "BookpostPageSizePlugin",
  version: "0.0.0",
  schema: {
    hooks: {
      GraphQLObjectType_fields_field_args: {
        after: ["PgFirstLastBeforeAfterArgsPlugin"],
        callback(args, _build, context) {
          const { first, last, before, offset, ...rest } = args;
          if (!context.scope.isPgFieldConnection || first === undefined) return args;
          return {
            ...rest,
            first: {
              ...first,
              description: `How many rows, at most ${MAX_PAGE_SIZE}.`,
              defaultValue: DEFAULT_PAGE_SIZE,
              applyPlan(_parent: unknown, $connection: ConnectionStep<Step>, argument: FieldArg) {
                $connection.setFirst(lambda(argument.getRaw(), checkPageSize, true));
              },
            },
          };
        },
      },
    },
  },
};
