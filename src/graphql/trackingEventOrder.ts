import { addPgTableOrderBy } from "postgraphile/utils";

/** As in the index tracking_events_parcel_id_sort_idx, so that it is read and not sorted. */
const COLUMNS = ["sort_at", "sort_rank", "identity", "parcel_id"];

function orderBy(direction: "ASC" | "DESC") {
  return {
    extensions: {
      grafast: {
        apply(query: {
          orderBy(order: { attribute: string; direction: "ASC" | "DESC" }): void;
          setOrderIsUnique(): void;
        }) {
          for (const attribute of COLUMNS) query.orderBy({ attribute, direction });
          query.setOrderIsUnique();
        },
      },
    },
  };
}

/**
 * Scans by the time they happened; scans of the same moment in the carrier's
 * own order. `sort_at` alone would leave those to chance.
 */
export const trackingEventOrder: GraphileConfig.Plugin = addPgTableOrderBy(
  { schemaName: "bookpost", tableName: "tracking_events" },
  () => ({ SORT_AT_ASC: orderBy("ASC"), SORT_AT_DESC: orderBy("DESC") }),
);
