import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { onTestFinished } from "vitest";

/** An identity provider's key: its id, what it may sign, and both halves. */
export interface ProviderKey {
  readonly kid: string;
  readonly algorithm: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

export async function makeKey(kid: string, algorithm = "RS256"): Promise<ProviderKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: "sig" };
  return { kid, algorithm, privateKey, jwk };
}

/** A token that this key signs; `header` and `claims` replace or add, and what is undefined is left out. */
export function signWith(
  key: ProviderKey,
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: key.algorithm, kid: key.kid, ...header })
    .sign(key.privateKey);
}

export interface KeySetServer {
  readonly url: string;
  /** What it publishes from now on. */
  keys: readonly ProviderKey[];
  /** What it answers instead of its keys; null: its keys. */
  trouble: { status: number; body: string } | "silence" | null;
  /** Requests so far. */
  requests: number;
  close(): Promise<void>;
}

/** A real HTTP server that publishes keys as identity providers do; closed when the test ends. */
export async function startKeySetServer(keys: readonly ProviderKey[]): Promise<KeySetServer> {
  const server = createServer((_request, response) => {
    state.requests++;
    if (state.trouble === "silence") return;
    const { status, body } = state.trouble ?? {
      status: 200,
      body: JSON.stringify({ keys: state.keys.map(({ jwk }) => jwk) }),
    };
    response.writeHead(status, { "content-type": "application/json", location: "/elsewhere" });
    response.end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const state: KeySetServer = {
    url: `http://127.0.0.1:${port}/.well-known/jwks.json`,
    keys,
    trouble: null,
    requests: 0,
    async close() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  onTestFinished(() => state.close());
  return state;
}
