import { onTestFinished } from "vitest";
import { type CarrierClient, createCarrierClient } from "../../src/carriers/client.ts";
import { adapterFor } from "../../src/carriers/registry.ts";
import { type Sandbox, type SandboxOptions, startSandbox } from "../../src/sandbox/server.ts";
import { Secret } from "../../src/secret.ts";

/** A sandbox for one test, closed after it. */
export async function withSandbox(options?: SandboxOptions): Promise<Sandbox> {
  const sandbox = await startSandbox(options);
  onTestFinished(() => sandbox.close());
  return sandbox;
}

/** A client of one of the sandbox's APIs, closed after the test. */
export function clientOf(
  sandbox: Sandbox,
  code: string,
  options: Partial<Parameters<typeof createCarrierClient>[1]> = {},
): CarrierClient {
  return clientAt(sandbox.url(code), code, {
    credentials: asSecrets(sandbox.credentials(code)),
    ...options,
  });
}

/** A client of one carrier at any address, closed after the test. */
export function clientAt(
  baseUrl: string,
  code: string,
  options: Partial<Parameters<typeof createCarrierClient>[1]> = {},
): CarrierClient {
  const adapter = adapterFor(code);
  if (adapter === null) throw new Error(`no adapter ${code}`);
  const credentials = asSecrets(
    Object.fromEntries(Object.keys(adapter.credentials).map((suffix) => [suffix, "some-secret"])),
  );
  const client = createCarrierClient(adapter, { baseUrl, credentials, ...options });
  onTestFinished(() => client.close());
  return client;
}

function asSecrets(texts: Readonly<Record<string, string>>): Record<string, Secret> {
  return Object.fromEntries(
    Object.entries(texts).map(([suffix, text]) => [suffix, new Secret(text)]),
  );
}
