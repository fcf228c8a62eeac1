/** trackingNumber → "tracking number", SORT_AT → "sort at". */
function inWords(name: string): string {
  return name
    .replace(/[A-Z]+/g, (capitals) => (capitals.length > 1 ? capitals : ` ${capitals}`))
    .replaceAll("_", " ")
    .toLowerCase()
    .trim();
}

/** What names say that are the same everywhere; null: nothing. */
function describe(name: string): string | null {
  if (name === "id") return "Its key; it never changes.";
  if (name === "createdAt") return "Since when bookpost has known it.";
  if (name === "code" || name === "kind") return "Its key: a short name.";
  const to = /^(.+)(?:Id|Code)$/.exec(name)?.[1];
  return to ? `The key of its ${inWords(to)}.` : null;
}

/** SORT_AT_DESC → "By sort at, the greatest first." */
function describeOrder(name: string): string | null {
  const [, column, direction] = /^(.+)_(ASC|DESC)$/.exec(name) ?? [];
  if (column === undefined) return null;
  const isTime = column.endsWith("_AT");
  const first =
    direction === "ASC" ? (isTime ? "oldest" : "lowest") : isTime ? "newest" : "highest";
  return `By ${inWords(column)}, the ${first} first.`;
}

/** TrackBookInput → "What trackBook takes."; null: no part of a mutation. */
function describeType(name: string): string | null {
  const [, mutation = "", part] = /^(.+)(Input|Payload)$/.exec(name) ?? [];
  const field = `${mutation.charAt(0).toLowerCase()}${mutation.slice(1)}`;
  return part ? `What ${field} ${part === "Input" ? "takes" : "gives"}.` : null;
}

/** Enums that are made of tables; their values are described by the tables' rows. */
const ENUMS: Readonly<Record<string, string>> = {
  ParcelStatus: "The stage of a parcel, in the same words for every carrier.",
  CircuitState: "Whether an API is asked: the state of its circuit breaker.",
  NotificationKind: "What a notification tells of.",
};

/**
 * Gives keys, times, orders, arguments and what mutations take and give, where
 * nothing else describes them, a plain sentence, so that nothing in the schema is without one.
 */
export const plainDescriptionPlugin: GraphileConfig.Plugin = {
  name: "BookpostPlainDescriptionPlugin",
  version: "0.0.0",
  schema: {
    hooks: {
      GraphQLObjectType_fields_field: {
        after: ["BookpostDescriptionPlugin"],
        callback(field, _build, context) {
          const description = field.description ?? describe(context.scope.fieldName);
          return description ? { ...field, description } : field;
        },
      },
      GraphQLObjectType_fields_field_args_arg(arg, _build, context) {
        const description = arg.description ?? describe(context.scope.argName);
        return description ? { ...arg, description } : arg;
      },
      GraphQLInputObjectType_fields_field(field, _build, context) {
        const description = field.description ?? describe(context.scope.fieldName);
        return description ? { ...field, description } : field;
      },
      GraphQLObjectType(type) {
        const description = type.description ?? describeType(type.name);
        return description ? { ...type, description } : type;
      },
      GraphQLInputObjectType(type) {
        const description = type.description ?? describeType(type.name);
        return description ? { ...type, description } : type;
      },
      GraphQLEnumType_values(values) {
        return Object.fromEntries(
          Object.entries(values).map(([name, value]) => {
            const description = value.description ?? describeOrder(name);
            return [name, description ? { ...value, description } : value];
          }),
        );
      },
      GraphQLEnumType(type) {
        const description = type.description ?? ENUMS[type.name];
        return description ? { ...type, description } : type;
      },
    },
  },
};
