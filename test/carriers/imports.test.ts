import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

function importsOf(room: string): [string, string][] {
  const folder = new URL(`../../src/${room}/`, import.meta.url);
  return readdirSync(folder).flatMap((file) => {
    const source = readFileSync(new URL(file, folder), "utf8");
    return [...source.matchAll(/^(?:import|export) .*?from "(.+?)";$|^\} from "(.+?)";$/gm)].map(
      ([, one, other]): [string, string] => [file, one ?? other ?? ""],
    );
  });
}

test("the carriers' room imports only itself, errors, secrets and four libraries", () => {
  const allowed =
    /^(\.\/\w+\.ts|\.\.\/(errors|secret)\.ts|zod|undici|luxon|fast-xml-parser|node:[a-z/]+)$/;
  const imports = importsOf("carriers");
  expect(imports.length).toBeGreaterThan(30);
  expect(imports.filter(([, from]) => !allowed.test(from))).toEqual([]);
});

test("the carriers' room reads no environment", () => {
  const folder = new URL("../../src/carriers/", import.meta.url);
  for (const file of readdirSync(folder))
    expect(readFileSync(new URL(file, folder), "utf8"), file).not.toMatch(/process\.env/);
});

test("the sandbox imports nothing of ours but itself", () => {
  const imports = importsOf("sandbox");
  expect(imports.length).toBeGreaterThan(15);
  expect(imports.filter(([, from]) => !/^(\.\/\w+\.ts|zod|node:[a-z/]+)$/.test(from))).toEqual([]);
});
