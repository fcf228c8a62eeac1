import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Real crashes take their time, and so do the tools that make them: `npm run test:faults` runs these, and the others
    // that the table of failures names.
    exclude: [
      ...configDefaults.exclude,
      ...(process.env.FAULTS === "1" ? [] : ["test/faults/**", "test/harness/**"]),
    ],
    globalSetup: ["test/helpers/globalSetup.ts"],
    // Real processes and a real Postgres: generous, so that only a hang fails on a busy machine.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // One Postgres serves all files; two at a time keep a small machine busy without starving it.
    maxWorkers: 2,
    env: { NODE_ENV: "test", GRAPHILE_ENV: "test" },
  },
});
