import "postgraphile";
import { PgSimplifyInflectionPreset } from "@graphile/simplify-inflection";
import { PgManyToManyPreset } from "@graphile-contrib/pg-many-to-many";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { changeNullability } from "postgraphile/utils";
import { PostGraphileConnectionFilterPreset } from "postgraphile-plugin-connection-filter";
import { apiNamesPlugin } from "./apiNamesPlugin.ts";
import { changes } from "./changes.ts";
import { currentUser } from "./currentUser.ts";
import { descriptionPlugin } from "./descriptionPlugin.ts";
import { filterOperatorsPlugin } from "./filterOperatorsPlugin.ts";
import { inflectionPlugin } from "./inflectionPlugin.ts";
import { memberListPlugin } from "./memberListPlugin.ts";
import { mutations } from "./mutations/mutations.ts";
import { notificationMessage } from "./notificationMessage.ts";
import { orderPlugin } from "./orderPlugin.ts";
import { pageSizePlugin } from "./pageSizePlugin.ts";
import { parcelOverdueOrder } from "./parcelOverdueOrder.ts";
import { plainDescriptionPlugin } from "./plainDescriptionPlugin.ts";
import { schemaTags } from "./schemaTags.ts";
import { sharedParcel } from "./sharedParcel.ts";
import { singleRowPlugin } from "./singleRowPlugin.ts";
import { timeOfDayPlugin } from "./timeOfDayPlugin.ts";
import { trackingEventOrder } from "./trackingEventOrder.ts";
import { transactionIdPlugin } from "./transactionIdPlugin.ts";

/** What would open something by itself; `schemaTags.ts` opens the rest by name. */
const CLOSED = [
  "-insert",
  "-update",
  "-delete",
  "-query:resource:connection",
  "-query:resource:single",
  "-query:resource:list",
  "-manyToMany",
  "-queryField",
  "-mutationField",
  "-filterBy",
  "-orderBy",
].join(" ");

/**
 * How the schema `bookpost` becomes GraphQL. Opens no connection and reads no
 * environment; the server adds the database and the limits (`server.ts`).
 */
export const apiPreset: GraphileConfig.Preset = {
  extends: [
    PostGraphileAmberPreset,
    PgSimplifyInflectionPreset,
    PgManyToManyPreset,
    PostGraphileConnectionFilterPreset,
  ],
  plugins: [
    inflectionPlugin,
    schemaTags,
    singleRowPlugin,
    pageSizePlugin,
    orderPlugin,
    memberListPlugin,
    trackingEventOrder,
    parcelOverdueOrder,
    filterOperatorsPlugin,
    timeOfDayPlugin,
    descriptionPlugin,
    plainDescriptionPlugin,
    apiNamesPlugin,
    notificationMessage,
    sharedParcel,
    currentUser,
    ...mutations,
    transactionIdPlugin,
    changes,
    // Everyone sees the carriers, and these keys are never null; nor is a yes or no.
    changeNullability({
      Parcel: { carrier: false, isOverdue: false },
      CarrierCircuit: { api: false },
      // A count is there for whomever one may read.
      User: { unreadNotificationCount: false },
    }),
  ],
  disablePlugins: [
    // It would leave a type that cannot be built out of the schema and go on; we want the start to fail.
    "SwallowErrorsPlugin",
    // Rows are found by their own keys; a second, opaque id for each would only double the schema.
    "NodePlugin",
    "RegisterQueryNodePlugin",
    "AddNodeInterfaceToSuitableTypesPlugin",
    "PgTableNodePlugin",
    "PgNodeIdAttributesPlugin",
    "QueryQueryPlugin",
    "MutationPayloadQueryPlugin",
    "PgMutationPayloadEdgePlugin",
    // `filter` does what `condition` does.
    "PgConditionArgumentPlugin",
    // Filters over relations and free and/or/not make queries that no index serves.
    "PgConnectionArgFilterBackwardRelationsPlugin",
    "PgConnectionArgFilterForwardRelationsPlugin",
    "PgConnectionArgFilterLogicalOperatorsPlugin",
  ],
  gather: { pgStrictFunctions: true },
  schema: {
    defaultBehavior: CLOSED,
    connectionFilterAllowedOperators: [
      "isNull",
      "equalTo",
      "in",
      "lessThan",
      "lessThanOrEqualTo",
      "greaterThan",
      "greaterThanOrEqualTo",
    ],
    // A row that row-level security hides is not in the list at all: no list of ours holds a null.
    pgForbidSetofFunctionsToReturnNull: true,
    connectionFilterComputedColumns: false,
    connectionFilterSetofFunctions: false,
    connectionFilterArrays: false,
  },
};
