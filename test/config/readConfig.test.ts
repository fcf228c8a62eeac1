import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { adapters } from "../../src/carriers/registry.ts";
import { readConfig } from "../../src/config.ts";
import { UsageError } from "../../src/errors.ts";

test("an empty environment is a working one: embedded Postgres, loopback, nothing configured", () => {
  const config = readConfig({});
  expect(config).toMatchObject({
    databaseUrl: null,
    host: "127.0.0.1",
    port: 5678,
    jwtSecret: null,
  });
  const carriers = [...config.carriers.values()];
  expect(carriers.map(({ code }) => code)).toEqual(adapters.map(({ code }) => code));
  expect(carriers.filter(({ credentials }) => credentials !== null)).toEqual([]);
});

test("a carrier with half its credentials is not configured, and says what is missing", () => {
  const ups = readConfig({ UPS_CLIENT_ID: "id" }).carriers.get("ups");
  expect(ups).toMatchObject({ credentials: null, missing: ["UPS_CLIENT_SECRET"] });
});

test("each configured carrier has slots of its own, for all parcels of all its calls; none where it is not configured", () => {
  const slots = (env: NodeJS.ProcessEnv) => readConfig(env).concurrency;
  const ups = { UPS_CLIENT_ID: "id", UPS_CLIENT_SECRET: "secret" };
  const fedex = { FEDEX_CLIENT_ID: "id", FEDEX_CLIENT_SECRET: "secret" };
  expect(slots(ups) - slots({})).toBe(10);
  // Its calls take 30 parcels each.
  expect(slots({ ...ups, ...fedex }) - slots(ups)).toBe(300);
  expect(slots({ ...ups, FEDEX_CLIENT_ID: "id" })).toBe(slots(ups));
  expect(slots({ ...ups, BOOKPOST_CONCURRENCY: "7" })).toBe(7);
});

test("several origins may be allowed", () => {
  expect(readConfig({}).allowedOrigins).toEqual([]);
  expect(
    readConfig({ ALLOWED_ORIGINS: "https://app.example, http://localhost:3000" }).allowedOrigins,
  ).toEqual(["https://app.example", "http://localhost:3000"]);
});

test("an empty variable is an unset one", () => {
  expect(readConfig({ PORT: "", DATABASE_URL: "", DHL_API_KEY: "" })).toMatchObject({
    port: 5678,
    databaseUrl: null,
  });
});

test.each([
  ["PORT", "80a", /^PORT must be a whole number from 0 to 65535; "80a" is not/],
  ["PORT", "65536", /^PORT must be/],
  ["HOST", "not a host", /^HOST must be an address/],
  ["NODE_ENV", "prod", /^NODE_ENV must be development, production or test; "prod"/],
  ["BOOKPOST_CONCURRENCY", "0", /from 1 to 2000/],
  ["ALLOWED_ORIGINS", "app.example", /^ALLOWED_ORIGINS must be origins such as/],
  ["ALLOWED_ORIGINS", "https://app.example/path", /^ALLOWED_ORIGINS must be/],
  ["ALLOWED_ORIGINS", "*", /^ALLOWED_ORIGINS must be/],
  ["UPS_BASE_URL", "http://carrier.example", /^UPS_BASE_URL must be an https address/],
  ["JWT_JWKS_URL", "http://provider.example/keys", /^JWT_JWKS_URL must be an https address/],
  ["JWT_JWKS_URL", "https://user:pw@provider.example/keys", /^JWT_JWKS_URL must be/],
  ["JWT_SUBJECT", "email", /^JWT_SUBJECT must be user_id or app_user_id; "email"/],
  ["JWT_MAX_AGE", "59", /^JWT_MAX_AGE must be a whole number from 60 to 2678400/],
  ["TRUST_PROXY", "true", /^TRUST_PROXY must be a whole number from 0 to 10; "true"/],
  [
    "DHL_BASE_URL",
    "https://user:pw@carrier.example",
    /^DHL_BASE_URL must be an https address without user/,
  ],
])("%s=%s is refused with its name, its value and the way out", (name, value, sentence) => {
  expect(() => readConfig({ [name]: value })).toThrow(UsageError);
  expect(() => readConfig({ [name]: value })).toThrow(sentence);
});

test.each([
  ["DATABASE_URL", "mysql://user:hunter2hunter2@host/db"],
  ["JWT_SECRET", "hunter2hunter2"],
  ["SMTP_URL", "http://user:hunter2hunter2@host"],
  ["UPS_BASE_URL", "https://user:hunter2hunter2@host"],
])("a refused %s does not show its secret", (name, value) => {
  try {
    readConfig({ [name]: value });
    expect.unreachable();
  } catch (error) {
    expect(inspect(error)).not.toContain("hunter2");
  }
});

test("credentials cannot be printed by accident", () => {
  const config = readConfig({
    UPS_CLIENT_ID: "hunter2-id",
    UPS_CLIENT_SECRET: "hunter2-secret",
    JWT_SECRET: "hunter2".repeat(5),
  });
  const printed =
    inspect(config, { depth: 9 }) +
    JSON.stringify([...config.carriers.values(), config]) +
    `${config.jwtSecret}`;
  expect(printed).not.toContain("hunter2");
  expect(config.carriers.get("ups")?.credentials?.CLIENT_SECRET?.reveal()).toBe("hunter2-secret");
});

describe("who signs the API's tokens", () => {
  const JWKS = "https://provider.example/tenant/keys?v=2";
  const provider = {
    JWT_JWKS_URL: JWKS,
    JWT_ISSUER: "https://provider.example/",
    JWT_AUDIENCE: "bookpost",
  };

  test("is one of a secret and an identity provider, not both", () => {
    expect(() => readConfig({ ...provider, JWT_SECRET: "x".repeat(32) })).toThrow(
      "JWT_SECRET and JWT_JWKS_URL are both set, and tokens are signed by one of them: leave the other out.",
    );
  });

  test.each(["JWT_ISSUER", "JWT_AUDIENCE"])("is no provider without %s", (name) => {
    expect(() => readConfig({ ...provider, [name]: "" })).toThrow(`JWT_JWKS_URL needs ${name} too`);
  });

  test("is told with issuer and audience, or with a secret alone", () => {
    expect(readConfig(provider).access).toMatchObject({
      jwksUrl: JWKS,
      issuer: "https://provider.example/",
      audience: "bookpost",
      roleClaim: "role",
      subject: "user_id",
      maxTokenSeconds: null,
    });
    expect(readConfig({ JWT_SECRET: "x".repeat(32) }).access).toMatchObject({
      jwksUrl: null,
      issuer: null,
      audience: null,
    });
    expect(
      readConfig({ ...provider, JWT_JWKS_URL: "http://localhost:1/keys" }).access.jwksUrl,
    ).toBe("http://localhost:1/keys");
  });
});

test("nothing said of access: no proxy is believed, no document listed, no public address", () => {
  expect(readConfig({}).access).toMatchObject({
    proxies: 0,
    trustedDocuments: null,
    publicUrl: null,
  });
  expect(
    readConfig({ TRUST_PROXY: "2", TRUSTED_DOCUMENTS: "any", PUBLIC_URL: "https://books.example/" })
      .access,
  ).toMatchObject({ proxies: 2, trustedDocuments: "any", publicUrl: "https://books.example" });
});
