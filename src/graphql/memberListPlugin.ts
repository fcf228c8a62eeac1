import type { ConnectionStep, FieldArgs, Step } from "postgraphile/grafast";
import { context, lambda } from "postgraphile/grafast";
import { type SQL, sql } from "postgraphile/pg-sql2";
import type { Viewer } from "./viewer.ts";

interface Query {
  readonly alias: SQL;
  where(condition: SQL): void;
}

/**
 * A member's list of a table whose rows are hers through her parcels: the tag
 * `@memberList` names the column with the parcel's id. Row-level security asks
 * of each row whether it is hers, which is right for rows that something else
 * has found, and would walk a whole table here. So a list that begins at the
 * root begins with her parcels. Decides nothing: row-level security still does.
 *
 * An array, not a join: of a join the planner expects a few rows and sorts all
 * there are. 20,000 of 80,000 parcels are hers: 44 ms, with a join 365 ms; five
 * are hers: 0.8 ms, without the condition 89 ms and more with each parcel.
 */
export const memberListPlugin: GraphileConfig.Plugin = {
  name: "BookpostMemberListPlugin",
  version: "0.0.0",
  schema: {
    hooks: {
      GraphQLObjectType_fields_field(field, _build, { scope }) {
        const column = scope.pgFieldResource?.codec.extensions?.tags?.memberList;
        if (!scope.isRootQuery || !scope.isPgFieldConnection || !column || !field.plan)
          return field;
        const { plan } = field;
        return {
          ...field,
          plan($root: Step, args: FieldArgs, info) {
            const $connection = plan($root, args, info) as ConnectionStep<Step>;
            const $rows = $connection.getSubplan() as Step & { apply($change: Step): void };
            $rows.apply(
              lambda(context().get("viewer"), (viewer) => hersOnly(viewer, String(column))),
            );
            return $connection;
          },
        };
      },
    },
  },
};

function hersOnly({ role }: Viewer, column: string): (query: Query) => void {
  return (query) => {
    if (role !== "bookpost_member") return;
    query.where(sql`${query.alias}.${sql.identifier(column)} = any (array(
      select mine.parcel_id from bookpost.parcel_books mine where mine.owner_id = (select bookpost.current_user_id())
    ))`);
  };
}
