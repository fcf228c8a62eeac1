/**
 * The order a connection has when none is asked for, from the table's
 * `@defaultOrder` tag; and no `NATURAL`, which would be no order at all and
 * make pages overlap.
 */
export const orderPlugin: GraphileConfig.Plugin = {
  name: "BookpostOrderPlugin",
  version: "0.0.0",
  schema: {
    hooks: {
      GraphQLEnumType_values(values, build, context) {
        if (!context.scope.isPgRowSortEnum) return values;
        const { [build.inflection.builtin("NATURAL")]: _natural, ...rest } = values;
        return rest;
      },
      GraphQLObjectType_fields_field_args_arg: {
        after: ["PgConnectionArgOrderByDefaultValuePlugin"],
        callback(arg, build, context) {
          const { argName, isPgFieldConnection, pgFieldResource } = context.scope;
          const codec = pgFieldResource?.codec;
          const name = codec?.extensions?.tags?.defaultOrder;
          if (argName !== "orderBy" || !isPgFieldConnection || !codec || !name) return arg;
          const typeName = build.inflection.orderByType(build.inflection.tableType(codec));
          const type = build.getTypeByName(typeName);
          if (!build.graphql.isEnumType(type)) return arg;
          const value = type.getValue(String(name));
          if (!value) throw new Error(`@defaultOrder: ${typeName} has no value ${name}`);
          return { ...arg, defaultValue: [value.value] };
        },
      },
    },
  },
};
