import { join } from "node:path";
import { configDefaults, defineConfig } from "vitest/config";
import { SLOW } from "./test/faults/slow.ts";
import { temporaryFilesInMemory } from "./test/helpers/inMemory.ts";
import { ProcessesFirst } from "./test/helpers/processesFirst.ts";

const isWholeTable = process.env.FAULTS === "1";

// Crashes are timed on a disk.
if (!isWholeTable) Object.assign(process.env, temporaryFilesInMemory());
// What Node compiles is kept for the next of the many processes that tests start.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, "node_modules/.cache/bookpost");

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...(isWholeTable ? [] : SLOW)],
    globalSetup: ["test/helpers/globalSetup.ts"],
    // Real processes and a real Postgres: generous, so that only a hang fails on a busy machine.
    testTimeout: isWholeTable ? 120_000 : 30_000,
    hookTimeout: isWholeTable ? 120_000 : 60_000,
    // One Postgres serves all files. Three keep two cores busy: where one waits, another works.
    maxWorkers: 3,
    sequence: { sequencer: ProcessesFirst },
    // Files share a worker's modules, or each would load the API and the queue anew: two minutes of a run. So a file
    // leaves nothing behind in a module or in the process, and makes databases, servers and names of its own.
    isolate: false,
    unstubEnvs: true,
    env: { NODE_ENV: "test", GRAPHILE_ENV: "test" },
  },
});
