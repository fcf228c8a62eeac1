/**
 * Our own names on top of simplify-inflection: `id` is the row's uuid, a column
 * `carrier_code` makes a relation `carrier`, and enum values are upper case.
 */
export const inflectionPlugin: GraphileConfig.Plugin = {
  name: "BookpostInflectionPlugin",
  version: "0.0.0",
  after: ["PgSimplifyInflectionPlugin"],
  inflection: {
    replace: {
      _attributeName(previous, _options, details) {
        const name = previous?.(details) ?? details.attributeName;
        return !details.skipRowId && name === "row_id" ? "id" : name;
      },
      _getBaseName(previous, _options, attributeName) {
        return previous?.(attributeName) ?? /^(.+)_code$/.exec(attributeName)?.[1] ?? null;
      },
      enumValue(previous, _options, value, codec) {
        return (previous?.(value, codec) ?? value).toUpperCase();
      },
    },
  },
};
