import { type JSONPgSmartTags, jsonPgSmartTags } from "postgraphile/utils";

const LISTED = "+query:resource:connection";
const BY_KEY = "+query:resource:single";
/** Of a table: may be the far end. Of a foreign key: its table may be the middle. */
const MANY_TO_MANY = "+manyToMany";
const FILTER = { tags: { behavior: "+filterBy" } };
const ORDER = { tags: { behavior: "+orderBy" } };
const FILTER_AND_ORDER = { tags: { behavior: "+filterBy +orderBy" } };
const HIDDEN = { tags: { behavior: "-select" } };
/** The foreign key leads to its row; from there no list leads back. */
const ONE_WAY = { tags: { behavior: "-connection -list -singularBackwards" } };

/**
 * What of the database the API shows. `preset.ts` closes everything; here it is
 * opened. Kept out of `comment on`, so that comments stay prose: they are the
 * API's documentation.
 *
 * A column is opened for filtering or ordering only where an index serves it,
 * or where the table has a handful of rows (a test holds this).
 */
const tags: JSONPgSmartTags["config"] = {
  class: {
    // NOTE: no list of users and no user(id): people are reached from their books and notifications.
    "bookpost.books": {
      tags: { behavior: [LISTED, BY_KEY, MANY_TO_MANY], defaultOrder: "CREATED_AT_DESC" },
      attribute: {
        id: FILTER,
        owner_id: FILTER,
        app_book_id: FILTER,
        created_at: FILTER_AND_ORDER,
      },
      constraint: {
        books_owner_id_fkey: ONE_WAY,
        books_app_book_id_is_unique_per_owner: { tags: { fieldName: "bookByAppBookId" } },
        // There for a foreign key's sake; book(id) says the same.
        books_id_and_owner_are_unique: { tags: { behavior: "-single" } },
      },
    },
    "bookpost.parcels": {
      tags: {
        behavior: [LISTED, BY_KEY, MANY_TO_MANY],
        defaultOrder: "CREATED_AT_DESC",
        memberList: "id",
      },
      attribute: {
        id: FILTER,
        tracking_number: FILTER,
        status: FILTER,
        status_changed_at: FILTER_AND_ORDER,
        created_at: FILTER_AND_ORDER,
        closed_at: FILTER,
        // The order itself is parcelOverdueOrder.ts.
        overdue_at: FILTER,
        // How the database keeps count of what it has told.
        notice_version: HIDDEN,
        told_estimated_until: HIDDEN,
      },
      constraint: {
        // NOTE: no carrier.parcels: no index has the carrier of closed parcels.
        parcels_carrier_code_fkey: ONE_WAY,
      },
    },
    "bookpost.parcel_books": {
      tags: {
        defaultOrder: "STARTED_AT_DESC",
        // Said once more without the owner, who is there for row-level security only.
        foreignKey: `(book_id) references bookpost.books (id)|@manyToManyFieldName books|@behavior ${MANY_TO_MANY}`,
      },
      attribute: { started_at: ORDER },
      constraint: {
        parcel_books_parcel_id_fkey: {
          tags: { behavior: MANY_TO_MANY, manyToManyFieldName: "parcels" },
        },
        parcel_books_book_belongs_to_owner: { tags: { behavior: "-*" } },
      },
    },
    "bookpost.tracking_events": {
      tags: { behavior: LISTED, defaultOrder: "SORT_AT_ASC", memberList: "parcel_id" },
      attribute: {
        parcel_id: FILTER,
        // The order itself is trackingEventOrder.ts.
        sort_at: FILTER,
        sort_rank: HIDDEN,
      },
    },
    "bookpost.notifications": {
      tags: { behavior: [LISTED, BY_KEY], defaultOrder: "CREATED_AT_DESC" },
      attribute: {
        id: FILTER,
        user_id: FILTER,
        book_id: FILTER,
        parcel_id: FILTER,
        created_at: FILTER_AND_ORDER,
        read_at: FILTER,
        notice_version: HIDDEN,
      },
      constraint: {
        notifications_user_id_fkey: ONE_WAY,
        notifications_one_per_status_version: { tags: { behavior: "-single" } },
      },
    },
    "bookpost.tracking_links": {
      tags: {
        defaultOrder: "CREATED_AT_DESC",
        // Each said once more without the column that is there for a foreign key's sake.
        foreignKey: [
          "(book_id) references bookpost.books (id)|@foreignFieldName trackingLinks",
          "(parcel_id) references bookpost.parcels (id)|@behavior -connection -list",
        ],
      },
      attribute: { created_at: ORDER },
      constraint: {
        tracking_links_show_a_parcel_of_the_book: { tags: { behavior: "-*" } },
        tracking_links_belong_to_the_books_owner: { tags: { behavior: "-*" } },
      },
    },
    // Read through `changes` (changes.ts), by a cursor of its own.
    "bookpost.changes": { tags: { behavior: "-*", name: "change_rows" } },
    "bookpost.carriers": {
      tags: {
        behavior: [LISTED, BY_KEY],
        defaultOrder: "NAME_ASC",
        // A circuit's key is its API's: so a carrier finds its circuit in one step.
        foreignKey:
          "(api_code) references bookpost.carrier_circuits (api_code)|@fieldName carrierCircuit|@behavior -connection -list",
      },
      attribute: { code: FILTER_AND_ORDER, name: FILTER_AND_ORDER, api_code: FILTER },
      constraint: { carriers_api_code_fkey: { tags: { foreignFieldName: "carriers" } } },
    },
    "bookpost.carrier_apis": {
      tags: { behavior: [LISTED, BY_KEY], defaultOrder: "NAME_ASC" },
      attribute: { code: FILTER_AND_ORDER, name: FILTER_AND_ORDER },
    },
    "bookpost.carrier_limits": {
      constraint: {
        carrier_limits_api_code_fkey: { tags: { foreignFieldName: "limits" } },
      },
    },
    "bookpost.carrier_circuits": {
      tags: { behavior: [LISTED, BY_KEY], defaultOrder: "API_CODE_ASC" },
      attribute: {
        api_code: FILTER_AND_ORDER,
        state: FILTER,
        // Ids of lookups lead nowhere here: the ledger is not part of the API.
        probe_lookup_id: HIDDEN,
      },
      constraint: {
        carrier_circuits_api_code_fkey: { tags: { foreignSingleFieldName: "carrierCircuit" } },
      },
    },
    "bookpost.parcel_statuses": { tags: { enum: true } },
    "bookpost.circuit_states": { tags: { enum: true } },
    "bookpost.notification_kinds": { tags: { enum: true } },
  },
};

export const schemaTags: GraphileConfig.Plugin = jsonPgSmartTags(
  { version: 1, config: tags },
  null,
  { name: "BookpostSchemaTagsPlugin", version: "0.0.0" },
);
