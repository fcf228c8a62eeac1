import { randomUUID } from "node:crypto";
import { type CryptoKey, exportJWK, exportSPKI, importJWK, SignJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import type { AccessConfig } from "../../src/accessConfig.ts";
import { JWKS } from "../../src/graphql/limits.ts";
import { createTokenReader, type TokenReader } from "../../src/graphql/readToken.ts";
import { BadToken, CannotTell } from "../../src/graphql/refusal.ts";
import { createTestDatabase } from "../helpers/database.ts";
import {
  type KeySetServer,
  makeKey,
  type ProviderKey,
  signWith,
  startKeySetServer,
} from "./keySetServer.ts";
import { seedUser } from "./seedBooks.ts";
import { JWT_SECRET, startApiForTest, TEST_ACCESS } from "./startTestApi.ts";

const ISSUER = "https://provider.example/";
const AUDIENCE = "bookpost";
const USER = randomUUID();

let rsa: ProviderKey;
let other: ProviderKey;

beforeAll(async () => {
  rsa = await makeKey("first");
  other = await makeKey("second");
});

/** Seconds since 1970, so many minutes from now. */
const inMinutes = (minutes: number) => Math.floor(Date.now() / 1000) + minutes * 60;

const claims = (more: Record<string, unknown> = {}) => ({
  iss: ISSUER,
  aud: AUDIENCE,
  sub: USER,
  role: "bookpost_member",
  iat: inMinutes(0),
  exp: inMinutes(5),
  ...more,
});

/** The reader of tokens as the API has it, for the keys of a running provider. */
async function provider(
  access: Partial<AccessConfig> = {},
  times = JWKS as Readonly<Record<keyof typeof JWKS, number>>,
): Promise<{ keySet: KeySetServer; read: TokenReader; log: string[] }> {
  const keySet = await startKeySetServer([rsa]);
  const log: string[] = [];
  const settings = { jwksUrl: keySet.url, issuer: ISSUER, audience: AUDIENCE, ...access };
  const read = createTokenReader(
    { jwtSecret: null, access: { ...TEST_ACCESS, ...settings } },
    (sentence) => log.push(sentence),
    times,
  );
  if (read === null) throw new Error("no reader");
  return { keySet, log, read: (token) => read(`Bearer ${token}`) };
}

describe("a token of an identity provider", () => {
  it.each(["RS256", "ES256", "EdDSA", "Ed25519"])("may be signed with %s", async (algorithm) => {
    const { keySet, read } = await provider();
    const key = await makeKey("k", algorithm);
    keySet.keys = [rsa, key];
    expect(await read(await signWith(key, claims()))).toEqual({
      role: "bookpost_member",
      subject: USER,
      expiresAt: expect.any(Number),
    });
  });

  it("says when it expires, in milliseconds", async () => {
    const { read } = await provider();
    const exp = inMinutes(5);
    expect((await read(await signWith(rsa, claims({ exp })))).expiresAt).toBe(exp * 1000);
  });

  it("may be for several, us among them, and name its role in a claim of its own", async () => {
    const { read } = await provider({ roleClaim: "https://books.example/role" });
    const token = await signWith(
      rsa,
      claims({
        aud: ["another", AUDIENCE],
        role: "bookpost_operator",
        "https://books.example/role": "bookpost_visitor",
      }),
    );
    expect(await read(token)).toMatchObject({ role: "bookpost_visitor" });
  });

  it("may be 20 seconds over its time, since no two clocks agree, and not a minute", async () => {
    const { read } = await provider();
    const now = inMinutes(0);
    await read(await signWith(rsa, claims({ exp: now - 20 })));
    await read(await signWith(rsa, claims({ nbf: now + 20 })));
    for (const late of [{ exp: now - 60 }, { nbf: now + 60 }])
      await expect(read(await signWith(rsa, claims(late)))).rejects.toThrow(BadToken);
  });

  const bad: readonly (readonly [what: string, token: () => Promise<string>])[] = [
    ["of another issuer", () => signWith(rsa, claims({ iss: "https://other.example/" }))],
    ["of no issuer", () => signWith(rsa, claims({ iss: undefined }))],
    ["for another audience", () => signWith(rsa, claims({ aud: "another" }))],
    ["for no audience", () => signWith(rsa, claims({ aud: undefined }))],
    ["that never expires", () => signWith(rsa, claims({ exp: undefined }))],
    ["of no user", () => signWith(rsa, claims({ sub: undefined }))],
    ["of no role", () => signWith(rsa, claims({ role: undefined }))],
    ["of a role that is not the API's", () => signWith(rsa, claims({ role: "bookpost_worker" }))],
    ["of a key that is not published", () => signWith(other, claims())],
    ["of a stranger under our key's id", () => signWith(other, claims(), { kid: "first" })],
    [
      "of RS512 with our key",
      async () => {
        const key = (await importJWK(
          { ...(await exportJWK(rsa.privateKey)), alg: "RS512" },
          "RS512",
        )) as CryptoKey;
        return signWith({ ...rsa, algorithm: "RS512", privateKey: key }, claims());
      },
    ],
    [
      "with a header that must be understood",
      () =>
        new SignJWT(claims())
          .setProtectedHeader({ alg: "RS256", kid: "first", crit: ["exp2"], exp2: 1 })
          .sign(rsa.privateKey, { crit: { exp2: false } }),
    ],
    [
      "of HS256, signed with our public key as the secret",
      async () => {
        const spki = await exportSPKI((await importJWK(rsa.jwk, "RS256")) as CryptoKey);
        return new SignJWT(claims())
          .setProtectedHeader({ alg: "HS256", kid: "first" })
          .sign(new TextEncoder().encode(spki));
      },
    ],
    [
      "of HS256, signed with the published JSON as the secret",
      () =>
        new SignJWT(claims())
          .setProtectedHeader({ alg: "HS256", kid: "first" })
          .sign(new TextEncoder().encode(JSON.stringify(rsa.jwk))),
    ],
    [
      "of no algorithm",
      async () => {
        const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
        return `${part({ alg: "none", kid: "first" })}.${part(claims())}.`;
      },
    ],
    [
      "with a key of its own in its header",
      async () => {
        const { jwk } = other;
        return signWith(other, claims(), { kid: "first", jwk });
      },
    ],
  ];

  it.each(bad)("%s is refused, and nothing is logged", async (_what, token) => {
    const { read, log } = await provider();
    const text = await token();
    await expect(read(text)).rejects.toThrow(BadToken);
    await expect(read(text)).rejects.not.toThrow(text.slice(0, 20));
    expect(log).toEqual([]);
  });

  it("without a key's id is refused where several keys could have signed it, and read where one could", async () => {
    const { keySet, read } = await provider();
    const token = await signWith(rsa, claims(), { kid: undefined });
    expect(await read(token)).toMatchObject({ subject: USER });
    keySet.keys = [rsa, other];
    const { keySet: several, read: readSeveral } = await provider();
    several.keys = [rsa, other];
    await expect(readSeveral(token)).rejects.toThrow(BadToken);
  });
});

describe("how long a token may live", () => {
  it.each([
    [{ iat: inMinutes(0), exp: inMinutes(15) }, true],
    [{ iat: inMinutes(0), exp: inMinutes(16) }, false],
    [{ iat: inMinutes(-60), exp: inMinutes(5) }, false],
    [{ iat: inMinutes(10), exp: inMinutes(12) }, false],
    [{ iat: undefined, exp: inMinutes(5) }, false],
  ])("is 15 minutes where that is said: %o", async (times, isGood) => {
    const { read } = await provider({ maxTokenSeconds: 900 });
    const reading = read(await signWith(rsa, claims(times)));
    if (isGood) expect(await reading).toMatchObject({ subject: USER });
    else await expect(reading).rejects.toThrow(BadToken);
  });
});

describe("the keys", () => {
  it("are fetched once for many tokens, and a token of an unknown key does not fetch them again at once", async () => {
    const { keySet, read } = await provider();
    const token = await signWith(rsa, claims());
    await Promise.all([read(token), read(token), read(token)]);
    for (let n = 0; n < 5; n++)
      await expect(read(await signWith(other, claims()))).rejects.toThrow(BadToken);
    expect(keySet.requests).toBe(1);
  });

  it("may be rotated: a token of a new key makes us look again, beside the old one", async () => {
    const { keySet, read } = await provider({}, { ...JWKS, cooldownMs: 0 });
    const old = await signWith(rsa, claims());
    await read(old);
    keySet.keys = [rsa, other];
    await read(await signWith(other, claims()));
    await read(old);
    expect(keySet.requests).toBe(2);
  });

  it("are not good for ever: a key that was withdrawn ends with its time", async () => {
    const { keySet, read } = await provider({}, { ...JWKS, keptMs: 0 });
    const token = await signWith(rsa, claims());
    await read(token);
    keySet.keys = [other];
    await expect(read(token)).rejects.toThrow(BadToken);
  });

  it("serve on while the provider is away, for tokens of keys that are known", async () => {
    const { keySet, read } = await provider({}, { ...JWKS, cooldownMs: 0 });
    await read(await signWith(rsa, claims()));
    await keySet.close();
    await read(await signWith(rsa, claims()));
    await expect(read(await signWith(other, claims()))).rejects.toThrow(CannotTell);
  });

  it.each([
    ["an error", { status: 500, body: "{}" }],
    ["a redirect", { status: 302, body: "" }],
    ["no JSON", { status: 200, body: "<html>" }],
    ["no keys", { status: 200, body: '{"keys":"none"}' }],
    ["silence", "silence"],
  ] as const)(
    "that come as %s are the provider's trouble, not the token's",
    async (_what, trouble) => {
      const { keySet, read, log } = await provider({}, { ...JWKS, timeoutMs: 200 });
      keySet.trouble = trouble;
      await expect(read(await signWith(rsa, claims()))).rejects.toThrow(CannotTell);
      expect(log[0]).toMatch(/^API: the keys at JWT_JWKS_URL cannot be had/);
      keySet.trouble = null;
      expect(await read(await signWith(rsa, claims()))).toMatchObject({ subject: USER });
    },
  );
});

describe("the API", () => {
  it("answers 200, 401 and 503: a good token, a bad one, keys that are away", async () => {
    const db = await createTestDatabase();
    try {
      const keySet = await startKeySetServer([rsa]);
      const access = { jwksUrl: keySet.url, issuer: ISSUER, audience: AUDIENCE };
      const api = await startApiForTest(db, { jwtSecret: null, access });
      keySet.trouble = { status: 500, body: "" };
      const token = await signWith(rsa, claims());
      const away = await api.query("{ books { totalCount } }", { token });
      expect([away.status, away.body.errors[0].extensions.code]).toEqual([503, "UNAVAILABLE"]);
      keySet.trouble = null;
      const good = await api.query("{ books { totalCount } }", { token });
      expect([good.status, good.body]).toEqual([200, { data: { books: { totalCount: 0 } } }]);
      const bad = await api.query("{ books { totalCount } }", {
        token: await signWith(other, claims(), { kid: "first" }),
      });
      expect([bad.status, bad.body.errors[0].extensions.code]).toEqual([401, "BAD_TOKEN"]);
      // Not the operator, as without any keys.
      expect((await api.query("{ books { totalCount } }")).body.errors[0].extensions.code).toBe(
        "FORBIDDEN",
      );
    } finally {
      await db.drop();
    }
  });

  it("finds a user by the app's own id, takes a stranger for nobody, and sees one who came a moment later", async () => {
    const db = await createTestDatabase();
    try {
      const api = await startApiForTest(db, { access: { subject: "app_user_id" } });
      const sign = (sub: string, role = "bookpost_member") =>
        new SignJWT({ role, sub, exp: inMinutes(5) })
          .setProtectedHeader({ alg: "HS256" })
          .sign(new TextEncoder().encode(JWT_SECRET));
      const ask = async (sub: string, role?: string) =>
        api.query("{ books { totalCount } }", { token: await sign(sub, role) });
      const stranger = await ask("auth0|ada");
      expect([stranger.status, stranger.body.errors[0]]).toEqual([
        401,
        {
          message: "bookpost has no user with this token's app_user_id. Add her first.",
          extensions: { code: "BAD_TOKEN" },
        },
      ]);
      const id = await seedUser(db.pool, "auth0|ada");
      expect((await ask("auth0|ada")).status).toBe(200);
      // Remembered: the row may go, and the rights with it, but nobody is looked for again.
      await db.pool.query("delete from bookpost.users where id = $1", [id]);
      expect((await ask("auth0|ada")).status).toBe(200);
      expect((await ask("back office", "bookpost_operator")).status).toBe(200);
      for (const nobody of ["", "a\0b", "x".repeat(201), "' or true --"])
        expect((await ask(nobody)).status).toBe(401);
    } finally {
      await db.drop();
    }
  });
});
