/**
 * Grafast counts `timeouts.execution` from a subscription's start, so that every
 * event after it would be an error. Subscriptions go without; each event's
 * statements still have their own limit (`statement_timeout`).
 */
export const subscriptionTimeoutPlugin: GraphileConfig.Plugin = {
  name: "BookpostSubscriptionTimeoutPlugin",
  version: "0.0.0",
  grafast: {
    middleware: {
      subscribe(next, { args }) {
        const preset = args.resolvedPreset;
        if (preset)
          args.resolvedPreset = {
            ...preset,
            grafast: {
              ...preset.grafast,
              timeouts: { planning: preset.grafast?.timeouts?.planning },
            },
          };
        return next();
      },
    },
  },
};
