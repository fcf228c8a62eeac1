/** What only makes sense where values have an order that means something. */
const RANGE_OPERATORS = new Set([
  "lessThan",
  "lessThanOrEqualTo",
  "greaterThan",
  "greaterThanOrEqualTo",
]);

/** Times can be compared; ids, names and statuses are equal or they are not. */
export const filterOperatorsPlugin: GraphileConfig.Plugin = {
  name: "BookpostFilterOperatorsPlugin",
  version: "0.0.0",
  schema: {
    hooks: {
      GraphQLInputObjectType_fields: {
        after: ["PgConnectionArgFilterOperatorsPlugin"],
        callback(fields, _build, context) {
          const operators = context.scope.pgConnectionFilterOperators;
          if (!operators || operators.inputTypeName === "Datetime") return fields;
          return Object.fromEntries(
            Object.entries(fields).filter(([name]) => !RANGE_OPERATORS.has(name)),
          );
        },
      },
    },
  },
};
