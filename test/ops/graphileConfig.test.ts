import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

/** What graphile.config.ts gives to a command of that path: options of which part, and whether PostGraphile was loaded for it. */
async function readAs(command: string): Promise<{ has: string[]; isApiLoaded: boolean }> {
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    process.argv[1] = ${JSON.stringify(join(ROOT, "node_modules", command))};
    const { default: preset } = await import(${JSON.stringify(join(ROOT, "graphile.config.ts"))});
    const has = preset.extends.flatMap((part) => Object.keys(part));
    console.log(JSON.stringify({ has, isApiLoaded: loaded.some((url) => url.includes("/postgraphile/")) }));
  `;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", script],
    {
      env: { PATH: process.env.PATH, GRAPHILE_ENV: "test", DATABASE_URL: "postgres://nowhere/db" },
    },
  );
  return JSON.parse(stdout);
}

test.concurrent.each([".bin/graphile-worker", "graphile-worker/dist/cli.js"])(
  "%s gets the worker, and PostGraphile is not loaded for it",
  async (command) => {
    const { has, isApiLoaded } = await readAs(command);
    expect(has).toContain("worker");
    expect(has).not.toContain("schema");
    expect(isApiLoaded).toBe(false);
  },
);

test.concurrent.each([".bin/postgraphile", "my-graphile-worker/run.js"])(
  "any other command, such as %s, gets the worker and the API",
  async (command) => {
    const { has, isApiLoaded } = await readAs(command);
    expect(has).toEqual(expect.arrayContaining(["worker", "schema", "gather"]));
    expect(isApiLoaded).toBe(true);
  },
);
