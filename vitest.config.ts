import { configDefaults, defineConfig } from "vitest/config";
import { SLOW } from "./test/faults/slow.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...(process.env.FAULTS === "1" ? [] : SLOW)],
    globalSetup: ["test/helpers/globalSetup.ts"],
    // Real processes and a real Postgres: generous, so that only a hang fails on a busy machine.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // One Postgres serves all files; two at a time keep a small machine busy without starving it.
    maxWorkers: 2,
    env: { NODE_ENV: "test", GRAPHILE_ENV: "test" },
  },
});
