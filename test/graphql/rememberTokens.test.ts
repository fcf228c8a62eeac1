import { SignJWT } from "jose";
import { afterEach, expect, it, vi } from "vitest";
import { readAccessConfig } from "../../src/accessConfig.ts";
import { LONGEST_TOKEN_KEPT, TOKENS_KEPT_MS } from "../../src/graphql/limits.ts";
import { createTokenReader } from "../../src/graphql/readToken.ts";
import { rememberTokens } from "../../src/graphql/rememberTokens.ts";

import { Secret } from "../../src/secret.ts";

const SECRET = "a secret for tests, 32 letters or more";
const USER = "11111111-1111-4111-8111-111111111111";

/** A reader that remembers, and how often it had to check. */
function reader() {
  const access = readAccessConfig({}, { hasSecret: true });
  const read = createTokenReader({ jwtSecret: new Secret(SECRET), access }, () => {});
  if (read === null) throw new Error("a secret makes a reader");
  const check = vi.fn(read);
  return { check, read: rememberTokens(check) };
}

async function bearer(seconds: number, userId = USER, secret = SECRET): Promise<string> {
  const token = await new SignJWT({ role: "bookpost_member" })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(userId)
    .setExpirationTime(Math.floor(Date.now() / 1_000) + seconds)
    .sign(new TextEncoder().encode(secret));
  return `Bearer ${token}`;
}

/** Only the clock: nothing waits for it. */
function setClock(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: ms });
}

afterEach(() => {
  vi.useRealTimers();
});

it("a good token is checked once in a minute", async () => {
  const { check, read } = reader();
  const token = await bearer(900);
  const started = Date.now();
  for (let n = 0; n < 5; n++)
    expect(await read(token)).toMatchObject({ role: "bookpost_member", subject: USER });
  expect(check).toHaveBeenCalledTimes(1);
  setClock(started + TOKENS_KEPT_MS + 1_000);
  await read(token);
  expect(check).toHaveBeenCalledTimes(2);
});

it("a token that has expired since is refused, though it is remembered, once the half-minute that clocks may differ by is over", async () => {
  const { read } = reader();
  const token = await bearer(5);
  await read(token);
  setClock(Date.now() + 36_000);
  await expect(read(token)).rejects.toThrow("The token has expired.");
});

it("a good token behind thousands of spaces is let in and not kept: it would fill our memory", async () => {
  const { check, read } = reader();
  const padded = (await bearer(900)).replace(" ", " ".repeat(LONGEST_TOKEN_KEPT));
  await read(padded);
  await read(padded);
  expect(check).toHaveBeenCalledTimes(2);
});

it("a token that differs by anything is somebody else's", async () => {
  const { read } = reader();
  const other = "22222222-2222-4222-8222-222222222222";
  const [mine, hers] = [await bearer(900), await bearer(900, other)];
  await read(mine);
  expect(await read(hers)).toMatchObject({ subject: other });
  await expect(read(`${mine.slice(0, -2)}xx`)).rejects.toThrow("not valid");
  await expect(read(await bearer(900, USER, `${SECRET} or another`))).rejects.toThrow("not valid");
});

it("a refusal is not remembered", async () => {
  const { check, read } = reader();
  for (let n = 0; n < 2; n++) await expect(read("Bearer nonsense")).rejects.toThrow();
  expect(check).toHaveBeenCalledTimes(2);
});
