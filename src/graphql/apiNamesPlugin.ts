import {
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
} from "postgraphile/graphql";

interface Described {
  readonly name: string;
  description?: string | null;
}

/** All that has a name and may have a description, but the types of GraphQL itself. */
function describedIn(schema: GraphQLSchema): readonly Described[] {
  return Object.values(schema.getTypeMap())
    .filter(({ name }) => !name.startsWith("__"))
    .flatMap((type): readonly Described[] => {
      if (isEnumType(type)) return [type, ...type.getValues()];
      if (isInputObjectType(type)) return [type, ...Object.values(type.getFields())];
      if (!isObjectType(type) && !isInterfaceType(type)) return [type];
      const fields = Object.values(type.getFields());
      return [type, ...fields, ...fields.flatMap(({ args }) => args)];
    });
}

/** declared_currency → declaredCurrency. */
function inCamelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * The database's comments name columns and functions as one writes them there;
 * descriptions name them as the API does. What the API has no such name for
 * stays as it is: a value, such as by_hand.
 */
export const apiNamesPlugin: GraphileConfig.Plugin = {
  name: "BookpostApiNamesPlugin",
  version: "0.0.0",
  schema: {
    hooks: {
      finalize(schema) {
        const all = describedIn(schema);
        const names = new Set(all.map(({ name }) => name));
        for (const each of all)
          each.description = each.description?.replace(/\b[a-z0-9]+(?:_[a-z0-9]+)+\b/g, (word) =>
            names.has(inCamelCase(word)) ? inCamelCase(word) : word,
          );
        return schema;
      },
    },
  },
};
