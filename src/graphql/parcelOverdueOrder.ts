import type { SQL } from "postgraphile/pg-sql2";
import { addPgTableOrderBy } from "postgraphile/utils";

/**
 * Parcels by when they are overdue, those that never are last. Not the column
 * itself: where it is null, a page after a cursor would leave rows out
 * (grafast's condition for a null in a cursor is the wrong way round). The
 * expression is never null, and is that of the index parcels_overdue_order_idx;
 * 'infinity' would not come back from a cursor.
 *
 * NOTE: no descending order: all those that are never overdue would come first.
 */
export const parcelOverdueOrder: GraphileConfig.Plugin = addPgTableOrderBy(
  { schemaName: "bookpost", tableName: "parcels" },
  ({ sql, dataplanPg: { TYPES } }) => ({
    OVERDUE_AT_ASC: {
      extensions: {
        grafast: {
          apply(query: {
            readonly alias: SQL;
            orderBy(
              order: { direction: "ASC" } & (
                | { attribute: string }
                | { fragment: SQL; codec: typeof TYPES.timestamptz; nullable: false }
              ),
            ): void;
            setOrderIsUnique(): void;
          }) {
            query.orderBy({
              fragment: sql`coalesce(${query.alias}.overdue_at, timestamptz '9999-12-31 00:00Z')`,
              codec: TYPES.timestamptz,
              nullable: false,
              direction: "ASC",
            });
            query.orderBy({ attribute: "id", direction: "ASC" });
            query.setOrderIsUnique();
          },
        },
      },
    },
  }),
);
