import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { HTTP_LIMITS } from "../../src/carriers/http.ts";
import { createTwilio } from "../../src/notifications/twilio.ts";
import { type Sandbox, startSandbox } from "../../src/sandbox/server.ts";
import { Secret } from "../../src/secret.ts";
import { BODY, PHONE, sendText } from "./sendText.ts";

// The provider over real HTTP, against a stand-in that speaks Twilio's documented format.

const LIMITS = { connectTimeoutMs: 1_000, totalTimeoutMs: 500, maxBodyBytes: 64 * 1_024 };

async function twilioFor(
  more: { from?: string; authToken?: string; baseUrl?: string; limits?: typeof HTTP_LIMITS } = {},
) {
  const sandbox: Sandbox = await startSandbox();
  onTestFinished(() => sandbox.close());
  const { ACCOUNT_SID = "", AUTH_TOKEN = "", FROM = "" } = sandbox.credentials("twilio");
  const authToken = more.authToken ?? AUTH_TOKEN;
  const provider = createTwilio(
    {
      provider: "twilio",
      countries: null,
      accountSid: ACCOUNT_SID,
      authToken: new Secret(authToken),
      from: more.from ?? FROM,
      baseUrl: more.baseUrl ?? sandbox.url("twilio"),
    },
    more.limits ?? HTTP_LIMITS,
  );
  onTestFinished(() => provider.close());
  return {
    sandbox,
    from: FROM,
    send: (to?: string) => sendText(provider, [authToken], to),
    provider,
  };
}

test("a text is handed over once, to the number and from the sender", async () => {
  const { sandbox, from, send } = await twilioFor();
  const result = await send();
  const [text] = sandbox.texts;
  expect(sandbox.texts).toEqual([
    { api: "twilio", id: expect.stringMatching(/^SM[0-9a-f]{32}$/), from, to: PHONE, body: BODY },
  ]);
  expect(result).toEqual({ outcome: "sent", providerId: text?.id });
});

test("a messaging service sends where one is configured", async () => {
  const service = `MG${"0a".repeat(16)}`;
  const { sandbox, send } = await twilioFor({ from: service });
  expect(await send()).toMatchObject({ outcome: "sent" });
  expect(sandbox.texts).toMatchObject([{ from: service, to: PHONE }]);
});

test("a wrong token is our configuration's fault", async () => {
  const { sandbox, send } = await twilioFor({ authToken: "hunter2hunter2" });
  expect(await send()).toMatchObject({
    outcome: "misconfigured",
    error: expect.stringContaining("https://www.twilio.com/docs/api/errors/20003"),
  });
  expect(sandbox.texts).toEqual([]);
});

test("a phone that has answered STOP has opted out", async () => {
  const { sandbox, send } = await twilioFor();
  sandbox.stop(PHONE);
  expect(await send()).toMatchObject({ outcome: "opted_out" });
  expect(sandbox.texts).toEqual([]);
});

test("what is no number is no address", async () => {
  const { send } = await twilioFor();
  expect(await send("+12345")).toMatchObject({ outcome: "no_such_address" });
});

test.each([
  [400, "20003", "misconfigured"],
  [429, "20429", "rate_limited"],
  [400, "21211", "no_such_address"],
  [400, "21212", "misconfigured"],
  [400, "21265", "no_such_address"],
  [400, "21408", "refused"],
  [400, "21601", "misconfigured"],
  [400, "21606", "misconfigured"],
  [400, "21608", "refused"],
  [400, "21610", "opted_out"],
  [400, "21611", "rate_limited"],
  [400, "21612", "refused"],
  [400, "21614", "no_such_address"],
  [400, "21617", "refused"],
  [400, "21635", "no_such_address"],
  [400, "21659", "misconfigured"],
  [400, "21660", "misconfigured"],
  [400, "21661", "misconfigured"],
  [400, "30006", "no_such_address"],
  [400, "63038", "rate_limited"],
  // Codes that no list of ours has.
  [400, "29999", "refused"],
  [401, "29999", "misconfigured"],
  [403, "29999", "misconfigured"],
  [404, "29999", "misconfigured"],
  [429, "29999", "rate_limited"],
  [500, "29999", "unavailable"],
  [503, "29999", "unavailable"],
  // Whoever answers 500 is out of order, whatever else it says.
  [503, "21211", "unavailable"],
])("HTTP %i with Twilio's code %s ends as %s", async (status, code, outcome) => {
  const { sandbox, send } = await twilioFor();
  sandbox.fault({ api: "twilio", mode: "status", status, code });
  expect(await send()).toMatchObject({ outcome, error: expect.stringMatching(/^Twilio: .+\.$/) });
  expect(sandbox.texts).toEqual([]);
});

test("who is asked to slow down is told for how long", async () => {
  const { sandbox, send } = await twilioFor();
  sandbox.limit({ api: "twilio", calls: 0, windowMs: 60_000, retryAfter: "7" });
  expect(await send()).toMatchObject({ outcome: "rate_limited", retryAfterMs: 7_000 });
});

test.each([
  ["hang", "unanswered"],
  ["trickle", "unanswered"],
  ["reset", "unanswered"],
  ["html", "unavailable"],
  ["redirect", "unavailable"],
  ["empty", "unavailable"],
  ["gzip_bomb", "unanswered"],
  ["endless", "unanswered"],
] as const)(
  "an exchange that goes wrong by %s is Twilio's trouble, %s, and is not repeated here",
  async (mode, outcome) => {
    const { sandbox, send } = await twilioFor({ limits: LIMITS });
    sandbox.fault({ api: "twilio", mode });
    expect(await send()).toMatchObject({ outcome });
    expect(sandbox.log.map(({ api }) => api)).toEqual(["twilio"]);
  },
);

test("a text that Twilio has taken is sent, though its answer is cut short", async () => {
  const server = createServer((_, response) => {
    response.writeHead(201, { "content-type": "application/json", "content-length": 500 });
    response.write('{"sid": "SM', () => response.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const { send } = await twilioFor({ baseUrl: `http://127.0.0.1:${port}` });
  expect(await send()).toEqual({ outcome: "sent", providerId: null });
});

test("a host name that cannot be resolved is our own trouble", async () => {
  const { send } = await twilioFor({ baseUrl: "https://twilio.invalid" });
  expect(await send()).toMatchObject({ outcome: "local" });
});

test("a connection that is refused is Twilio's trouble", async () => {
  const { send } = await twilioFor({ baseUrl: "http://127.0.0.1:1" });
  expect(await send()).toMatchObject({ outcome: "unavailable" });
});

test("a worker that stops hands nothing over any more", async () => {
  const { sandbox, provider } = await twilioFor();
  expect(await provider.send({ to: PHONE, body: BODY }, AbortSignal.abort())).toMatchObject({
    outcome: "local",
  });
  expect(sandbox.log).toEqual([]);
});

test("a text that is on its way is not called back by the worker's end", async () => {
  const { sandbox, provider } = await twilioFor();
  const ending = new AbortController();
  sandbox.fault({ api: "twilio", mode: "slow", ms: 100 });
  const sending = provider.send({ to: PHONE, body: BODY }, ending.signal);
  ending.abort();
  expect(await sending).toMatchObject({ outcome: "sent" });
});
