/**
 * A function that says `returns setof … rows 1` returns one row or none, so its
 * field leads to one thing and not to a list. Declared so because Postgres
 * makes only set-returning functions part of the query that calls them: one that
 * returns a plain row is run once for each row it is asked of.
 */
export const singleRowPlugin: GraphileConfig.Plugin = {
  name: "BookpostSingleRowPlugin",
  version: "0.0.0",
  gather: {
    hooks: {
      pgProcedures_functionResourceOptions(_info, event) {
        const { pgProc, functionResourceOptions } = event;
        if (!pgProc.proretset || pgProc.prorows !== 1) return;
        Object.assign(functionResourceOptions, { returnsSetof: false, hasImplicitOrder: false });
      },
    },
  },
};
