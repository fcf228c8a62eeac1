import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { HTTP_LIMITS } from "../../src/carriers/http.ts";
import { createSns } from "../../src/notifications/sns.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { BODY, PHONE, sendText } from "./sendText.ts";

// The provider over real HTTP, with AWS's own library, against a stand-in that checks its signature.

const LIMITS = { connectTimeoutMs: 1_000, totalTimeoutMs: 500, maxBodyBytes: 64 * 1_024 };

async function snsFor(
  more: {
    environment?: Record<string, string>;
    region?: string;
    senderId?: string;
    baseUrl?: string;
    limits?: typeof HTTP_LIMITS;
  } = {},
) {
  const sandbox = await startSandbox();
  onTestFinished(() => sandbox.close());
  const environment = { ...sandbox.textEnvironment("sns"), ...more.environment };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  const provider = createSns(
    {
      provider: "sns",
      countries: null,
      region: more.region ?? environment.AWS_REGION ?? "",
      senderId: more.senderId ?? null,
      baseUrl: more.baseUrl ?? sandbox.url("sns"),
    },
    more.limits ?? HTTP_LIMITS,
  );
  onTestFinished(() => provider.close());
  const { AWS_ACCESS_KEY_ID = "", AWS_SECRET_ACCESS_KEY = "" } = environment;
  const secrets = [AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY].filter(Boolean);
  return { sandbox, provider, send: (to?: string) => sendText(provider, secrets, to) };
}

test("a text is handed over once, signed for its region, and transactional", async () => {
  const { sandbox, send } = await snsFor({ senderId: "BOOKPOST" });
  const result = await send();
  const [text] = sandbox.texts;
  expect(sandbox.texts).toEqual([
    { api: "sns", id: expect.any(String), from: "BOOKPOST", to: PHONE, body: BODY },
  ]);
  expect(result).toEqual({ outcome: "sent", providerId: text?.id });
});

test("without a sender's name none is said", async () => {
  const { sandbox, send } = await snsFor();
  await send();
  expect(sandbox.texts).toMatchObject([{ from: null }]);
});

test.each([
  ["a wrong secret", { AWS_SECRET_ACCESS_KEY: "hunter2hunter2" }, "SignatureDoesNotMatch"],
  ["an unknown key", { AWS_ACCESS_KEY_ID: "AKIAHUNTER2HUNTER2" }, "InvalidClientTokenId"],
  [
    "no credentials at all",
    {
      AWS_ACCESS_KEY_ID: "",
      AWS_SECRET_ACCESS_KEY: "",
      AWS_EC2_METADATA_DISABLED: "true",
      AWS_CONFIG_FILE: "/dev/null",
      AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    },
    "CredentialsProviderError",
  ],
])("%s is our configuration's fault", async (_, environment, name) => {
  const { sandbox, send } = await snsFor({ environment });
  expect(await send()).toMatchObject({
    outcome: "misconfigured",
    error: expect.stringContaining(name),
  });
  expect(sandbox.texts).toEqual([]);
});

test("another region is our configuration's fault", async () => {
  const { send } = await snsFor({ region: "us-east-1" });
  expect(await send()).toMatchObject({ outcome: "misconfigured" });
});

test("a phone that has answered STOP has opted out, and nothing is published to it", async () => {
  const { sandbox, send } = await snsFor();
  sandbox.stop(PHONE);
  expect(await send()).toMatchObject({ outcome: "opted_out" });
  expect(sandbox.log).toHaveLength(1);
});

test("what is no number is no address", async () => {
  const { send } = await snsFor();
  expect(await send("+12345")).toMatchObject({ outcome: "no_such_address" });
});

test.each([
  [403, "AuthorizationError", "misconfigured"],
  [403, "InvalidSecurity", "misconfigured"],
  [403, "ExpiredToken", "misconfigured"],
  [403, "OptInRequired", "misconfigured"],
  [400, "AccessDenied", "misconfigured"],
  [429, "Throttled", "rate_limited"],
  [400, "Throttling", "rate_limited"],
  [400, "ThrottlingException", "rate_limited"],
  [400, "OptedOut", "opted_out"],
  // Of a parameter that is not the number.
  [400, "InvalidParameter", "refused"],
  [400, "ValidationException", "refused"],
  [429, "SomethingNew", "rate_limited"],
  [403, "SomethingNew", "misconfigured"],
  [400, "SomethingNew", "refused"],
  [500, "InternalError", "unavailable"],
  [503, "ServiceUnavailable", "unavailable"],
])("HTTP %i with AWS's code %s ends as %s", async (status, code, outcome) => {
  const { sandbox, send } = await snsFor();
  sandbox.fault({ api: "sns", mode: "status", status, code });
  expect(await send()).toMatchObject({ outcome, error: expect.stringMatching(/^AWS SNS: .+\.$/) });
  // The queue tries again, not AWS's library.
  expect(sandbox.log).toHaveLength(1);
  expect(sandbox.texts).toEqual([]);
});

test.each(["hang", "trickle", "reset", "html", "redirect", "gzip_bomb", "endless"] as const)(
  "an exchange that goes wrong by %s is AWS's trouble, and is not repeated here",
  async (mode) => {
    const { sandbox, send } = await snsFor({ limits: LIMITS });
    sandbox.fault({ api: "sns", mode });
    expect(await send()).toMatchObject({ outcome: "unavailable" });
    expect(sandbox.log.map(({ api }) => api)).toEqual(["sns"]);
  },
);

test.each([
  [1, "unavailable"],
  [2, "unanswered"],
])(
  "when AWS breaks off request %i, the text is %s: only the second hands it over",
  async (broken, outcome) => {
    let count = 0;
    const server = createServer((request, response) => {
      if (++count === broken) request.socket.destroy();
      else
        response
          .writeHead(200, { "content-type": "text/xml" })
          .end(
            "<CheckIfPhoneNumberIsOptedOutResponse><CheckIfPhoneNumberIsOptedOutResult><isOptedOut>false</isOptedOut></CheckIfPhoneNumberIsOptedOutResult></CheckIfPhoneNumberIsOptedOutResponse>",
          );
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const { send } = await snsFor({ baseUrl: `http://127.0.0.1:${port}` });
    expect(await send()).toMatchObject({ outcome });
    expect(count).toBe(broken);
  },
);

test("a host name that cannot be resolved is our own trouble", async () => {
  const { send } = await snsFor({ baseUrl: "https://sns.invalid" });
  expect(await send()).toMatchObject({ outcome: "local" });
});

test("a worker that stops hands nothing over any more", async () => {
  const { sandbox, provider } = await snsFor();
  expect(await provider.send({ to: PHONE, body: BODY }, AbortSignal.abort())).toMatchObject({
    outcome: "local",
  });
  expect(sandbox.log).toEqual([]);
});
