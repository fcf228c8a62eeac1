import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate } from "../../docs/example/generate.ts";
import { createContext } from "../../src/cli/context.ts";
import { createProgram } from "../../src/cli/program.ts";
import { readConfig } from "../../src/config.ts";
import { OUR_SQLSTATES } from "../../src/db/mapDatabaseError.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { openClient } from "../helpers/openClient.ts";
import { readAppGuide } from "../helpers/readAppGuide.ts";
import { readExample } from "../helpers/readExample.ts";

const { text, blocks, environment } = readAppGuide();

let db: TestDatabase;

beforeAll(async () => {
  db = await createTestDatabase();
});

afterAll(() => db?.drop());

describe("docs/app.md", () => {
  const quoted = blocks.filter(({ language }) => language !== "sh" && language !== "env");

  it("has code in the languages that are looked at here, and no other", () => {
    expect(new Set(blocks.map(({ language }) => language))).toEqual(
      new Set(["sh", "env", "sql", "ts", "graphql"]),
    );
    expect(text.match(/^```/gm)).toHaveLength(2 * blocks.length);
  });

  it.each(quoted)("shows $file as it is run", async ({ file, code }) => {
    expect(await readExample(file)).toContain(code);
  });

  it.each(blocks.filter(({ language }) => language === "sh"))(
    "says a command that there is: $code",
    ({ code }) => {
      const [npx, bookpost, name, option] = code.split(" ");
      expect([npx, bookpost]).toEqual(["npx", "bookpost"]);
      const { commands } = createProgram(createContext({ isJson: false }));
      const command = commands.find((each) => each.name() === name);
      expect(command?.options.map(({ long }) => long)).toContain(option);
    },
  );

  it("names an environment that is taken whole", () => {
    const config = readConfig({ ...environment, JWT_SECRET: "s".repeat(32) });
    expect(config).toMatchObject({
      isDevelopment: false,
      access: {
        subject: "app_user_id",
        maxTokenSeconds: 900,
        trustedDocuments: "docs/example/persisted-documents.json",
      },
    });
  });

  it("gives the API's login a password that Postgres takes", async () => {
    const admin = await openClient(db.adminUrl);
    await admin.query("begin");
    await admin.query(await readExample("apiLogin.sql"));
    await admin.query("rollback");
  });

  it("tells of every code that an answer of the API may have", () => {
    const source = readFileSync(
      join(import.meta.dirname, "../../src/graphql/maskError.ts"),
      "utf8",
    );
    const sentences = source.slice(source.indexOf("SENTENCES"), source.indexOf("/** SQLSTATE"));
    const masked = [...sentences.matchAll(/^ {2}([A-Z_]+): "/gm)].map(([, code = ""]) => code);
    const others = ["BAD_TOKEN", "RATE_LIMITED", "UNKNOWN_DOCUMENT"];
    const table = text.slice(text.indexOf("## Errors and limits"), text.indexOf("Decide by codes"));
    const told = [...table.matchAll(/`([A-Z][A-Z_]+)`/g)].map(([, code = ""]) => code);
    expect(masked.length).toBeGreaterThan(5);
    expect(new Set(told)).toEqual(new Set([...masked, ...Object.values(OUR_SQLSTATES), ...others]));
  });

  it("links only to what is there", () => {
    const links = [...text.matchAll(/\]\((?!https)([^)#]+)/g)].map(([, link = ""]) => link);
    expect(links.length).toBeGreaterThan(3);
    for (const link of links)
      expect(() => readFileSync(join(import.meta.dirname, "../../docs", link))).not.toThrow(
        /ENOENT/,
      );
  });
});

describe("the example's documents", () => {
  const written = generate();

  it("have the types that the schema gives them", async () => {
    expect(await readExample("documents.ts")).toBe(written.types);
  });

  it("are the ones that TRUSTED_DOCUMENTS names, by the sha256 of their text", async () => {
    expect(await readExample("persisted-documents.json")).toBe(written.persisted);
  });
});
