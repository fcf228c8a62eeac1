import { generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { seedBook, seedUser } from "./seedBooks.ts";
import { JWT_SECRET, readAnswer, startTestApi, type TestApi } from "./startTestApi.ts";

let db: TestDatabase;
let api: TestApi;
let owner: string;

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
  owner = await seedUser(db.pool, "Ada");
  await seedBook(db.pool, { owner, title: "Ulysses", number: "1Z999AA10123456784" });
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

const bytes = (text: string) => new TextEncoder().encode(text);
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Seconds since 1970, so many minutes from now. */
const inMinutes = (minutes: number) => Math.floor(Date.now() / 1000) + minutes * 60;

function sign(
  claims: Record<string, unknown>,
  { algorithm = "HS256", secret = JWT_SECRET } = {},
): Promise<string> {
  const all = { sub: owner, role: "bookpost_member", exp: inMinutes(5), ...claims };
  return new SignJWT(all).setProtectedHeader({ alg: algorithm }).sign(bytes(secret));
}

async function ask(authorization: string | undefined) {
  return readAnswer(
    await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(authorization && { authorization }) },
      body: JSON.stringify({ query: "{ books { nodes { title } } }" }),
    }),
  );
}

describe("a token", () => {
  it("that the app signed says who asks", async () => {
    const { status, body } = await ask(`Bearer ${await sign({})}`);
    expect(status).toBe(200);
    expect(body).toEqual({ data: { books: { nodes: [{ title: "Ulysses" }] } } });
  });

  it("may have a user's id in capitals", async () => {
    const { body } = await ask(`Bearer ${await sign({ sub: owner.toUpperCase() })}`);
    expect(body.data.books.nodes).toHaveLength(1);
  });

  const bad: readonly (readonly [string, () => Promise<string>])[] = [
    [
      "of no algorithm",
      async () =>
        `Bearer ${part({ alg: "none" })}.${part({ sub: owner, role: "bookpost_operator", exp: inMinutes(5) })}.`,
    ],
    [
      "of no algorithm, with our signature",
      async () => {
        const [, , signature] = (await sign({})).split(".");
        return `Bearer ${part({ alg: "none" })}.${part({ sub: owner, role: "bookpost_operator", exp: inMinutes(5) })}.${signature}`;
      },
    ],
    ["of HS512", async () => `Bearer ${await sign({}, { algorithm: "HS512" })}`],
    [
      "of RS256",
      async () => {
        const { privateKey } = await generateKeyPair("RS256");
        const token = new SignJWT({ sub: owner, role: "bookpost_member", exp: inMinutes(5) });
        return `Bearer ${await token.setProtectedHeader({ alg: "RS256" }).sign(privateKey)}`;
      },
    ],
    [
      "of another secret",
      async () => `Bearer ${await sign({}, { secret: "another secret, 32 letters or more" })}`,
    ],
    ["that has expired", async () => `Bearer ${await sign({ exp: inMinutes(-1) })}`],
    ["that never expires", async () => `Bearer ${await sign({ exp: undefined })}`],
    ["that is not valid yet", async () => `Bearer ${await sign({ nbf: inMinutes(5) })}`],
    ["without a user", async () => `Bearer ${await sign({ sub: undefined })}`],
    ["whose user is no id", async () => `Bearer ${await sign({ sub: "' or true --" })}`],
    ["whose user is a list", async () => `Bearer ${await sign({ sub: [owner] })}`],
    ["without a role", async () => `Bearer ${await sign({ role: undefined })}`],
    [
      "of a role that is not the API's",
      async () => `Bearer ${await sign({ role: "bookpost_worker" })}`,
    ],
    ["of the database's superuser", async () => `Bearer ${await sign({ role: "postgres" })}`],
    ["of a role in short", async () => `Bearer ${await sign({ role: "operator" })}`],
    ["of several roles", async () => `Bearer ${await sign({ role: ["bookpost_operator"] })}`],
    [
      "that was changed",
      async () =>
        `Bearer ${(await sign({})).replace(/\.[^.]+\./, `.${part({ sub: owner, role: "bookpost_operator", exp: inMinutes(5) })}.`)}`,
    ],
    ["that is none", async () => "Bearer nonsense"],
    ["of another scheme", async () => "Basic b3BlcmF0b3I6"],
    ["without a scheme", async () => await sign({})],
  ];

  it.each(bad)("%s is refused", async (_what, authorization) => {
    const { status, body, headers } = await ask(await authorization());
    expect(status).toBe(401);
    expect(headers.get("www-authenticate")).toBe("Bearer");
    expect(body).toEqual({
      errors: [{ message: expect.any(String), extensions: { code: "BAD_TOKEN" } }],
    });
  });

  it("that has expired is told so, and no refusal quotes a token", async () => {
    const expired = await ask(`Bearer ${await sign({ exp: inMinutes(-1) })}`);
    expect(expired.body.errors[0].message).toBe("The token has expired.");
    const token = await sign({ role: "postgres" });
    expect((await ask(`Bearer ${token}`)).text).not.toContain(token.slice(0, 20));
    expect(api.log).toEqual([]);
  });
});
