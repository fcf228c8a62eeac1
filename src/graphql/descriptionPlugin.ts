/**
 * A field that leads to a table says what the table's comment says, in place of
 * a sentence about pagination.
 */
export const descriptionPlugin: GraphileConfig.Plugin = {
  name: "BookpostDescriptionPlugin",
  version: "0.0.0",
  schema: {
    hooks: {
      GraphQLObjectType_fields_field(field, build, context) {
        const { pgFieldResource, isPgSingleRelationField, fieldDirectives } = context.scope;
        // One of extendSchema's, which says itself what it is.
        if (fieldDirectives && field.description) return field;
        const named = build.graphql.getNamedType(field.type);
        const description = isPgSingleRelationField
          ? "description" in named && named.description
          : pgFieldResource?.codec.description;
        return description ? { ...field, description } : field;
      },
    },
  },
};
