import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { readAnswer, startApiForTest, startTestApi, type TestApi } from "./startTestApi.ts";

const CARRIER = "query Carrier($code: String!) { carrier(code: $code) { name } }";
const HASH = createHash("sha256").update(CARRIER).digest("hex");
const DOCUMENTS = { [`sha256:${HASH}`]: CARRIER, all: "{ carriers { totalCount } }" };

let db: TestDatabase;
let folder: string;
let api: TestApi;

beforeAll(async () => {
  db = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), "bookpost-documents-"));
  api = await startTestApi(db, {
    access: { trustedDocuments: await write("good.json", DOCUMENTS) },
  });
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
  await rm(folder, { recursive: true, force: true });
});

async function write(name: string, content: unknown): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

async function post(body: unknown) {
  return readAnswer(
    await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  );
}

const UPS = { data: { carrier: { name: "UPS" } } };
const variables = { code: "ups" };

describe("with a list of documents", () => {
  it.each([
    ["documentId", { documentId: `sha256:${HASH}` }],
    ["id", { id: `sha256:${HASH}` }],
    ["Apollo's extension", { extensions: { persistedQuery: { version: 1, sha256Hash: HASH } } }],
    [
      "an id beside a text, which is not looked at",
      { documentId: `sha256:${HASH}`, query: "{ nonsense }" },
    ],
  ])("one of it is answered by %s", async (_how, named) => {
    expect((await post({ ...named, variables })).body).toEqual(UPS);
  });

  it.each([
    ["a text", { query: CARRIER }],
    ["a text that is on the list", { query: "{ carriers { totalCount } }" }],
    ["an unknown id", { documentId: "nothing" }],
    ["an unknown id beside a text", { documentId: "nothing", query: CARRIER }],
    [
      "a hash that Apollo's client would now register",
      {
        query: "{ __typename }",
        extensions: {
          persistedQuery: {
            version: 1,
            sha256Hash: createHash("sha256").update("{ __typename }").digest("hex"),
          },
        },
      },
    ],
    ["an object's own word", { documentId: "__proto__" }],
    ["another", { id: "constructor" }],
    ["an id that is no text", { documentId: { toString: "all" } }],
    ["nothing", {}],
  ])("%s is refused", async (_what, body) => {
    const { status, body: answer } = await post({ ...body, variables });
    expect(status).toBe(400);
    expect(answer).toEqual({
      errors: [
        {
          message: "Send the id of a known document as documentId.",
          extensions: expect.objectContaining({ code: "UNKNOWN_DOCUMENT" }),
        },
      ],
    });
  });

  it("nothing of a refused request is logged", () => {
    expect(api.log).toEqual([]);
  });
});

describe("the start", () => {
  it("refuses in production where nothing was said, and names both ways out", async () => {
    await expect(startTestApi(db, { access: { trustedDocuments: null } })).rejects.toMatchObject({
      code: "NO_TRUSTED_DOCUMENTS",
      exitCode: 2,
      message: expect.stringMatching(/TRUSTED_DOCUMENTS to your client's file .*, or to any,/),
    });
  });

  it("answers every document in development where nothing was said", async () => {
    const development = await startApiForTest(db, {
      isDevelopment: true,
      access: { trustedDocuments: null },
    });
    expect((await development.query("{ __typename }")).body).toEqual({
      data: { __typename: "Query" },
    });
  });

  it.each([
    ["is not there", null, /that file cannot be read \(ENOENT\)/],
    ["is no JSON", "{", /must be a JSON object/],
    ["is a list", [CARRIER], /must be a JSON object/],
    ["has a document that is none", { a: { text: CARRIER } }, /must be a JSON object/],
  ])("refuses a file that %s", async (_what, content, message) => {
    const path = content === null ? join(folder, "missing.json") : await write("bad.json", content);
    await expect(startTestApi(db, { access: { trustedDocuments: path } })).rejects.toMatchObject({
      code: "BAD_TRUSTED_DOCUMENTS",
      exitCode: 2,
      message: expect.stringMatching(message),
    });
  });

  it("tells one sentence of each document that would be refused, and of no other", async () => {
    const path = await write("mixed.json", {
      ...DOCUMENTS,
      old: "{ carriers { nodes { nam } } }",
      broken: "{ carriers",
      curious: "{ __schema { queryType { name } } }",
      big: "{ books(first: 100) { nodes { parcels(first: 100) { nodes { trackingEvents(first: 100) { nodes { rawCode } } } } } } }",
    });
    const error = await startTestApi(db, { access: { trustedDocuments: path } }).catch((e) => e);
    const [first, ...sentences] = String(error.message).split("\n");
    expect(first).toBe("4 of the 6 documents in TRUSTED_DOCUMENTS would be refused.");
    expect(sentences).toEqual([
      'Document "old": Cannot query field "nam" on type "Carrier".',
      expect.stringMatching(/^Document "broken": Syntax Error/),
      expect.stringMatching(/^Document "curious": GraphQL introspection has been disabled/),
      expect.stringMatching(/^Document "big": The document may read 2,010,100 values/),
    ]);
  });
});
