import { expect, onTestFinished, test } from "vitest";
import { type Sandbox, startSandbox } from "../../src/sandbox/server.ts";

// What the stand-in says beyond what our own providers ask.

async function sandboxFor(): Promise<Sandbox> {
  const sandbox = await startSandbox();
  onTestFinished(() => sandbox.close());
  return sandbox;
}

async function askTwilio(sandbox: Sandbox, fields: Record<string, string>, authorization?: string) {
  const { ACCOUNT_SID, AUTH_TOKEN } = sandbox.credentials("twilio");
  const basic = `Basic ${Buffer.from(`${ACCOUNT_SID}:${AUTH_TOKEN}`).toString("base64")}`;
  const answer = await fetch(
    `${sandbox.url("twilio")}/2010-04-01/Accounts/${ACCOUNT_SID}/Messages.json`,
    {
      method: "POST",
      headers: { authorization: authorization ?? basic },
      body: new URLSearchParams(fields),
    },
  );
  return { status: answer.status, body: await answer.json() };
}

const TEXT = { To: "+447400123456", From: "+15005550006", Body: "Hello" };

test("Twilio's answer to a text is a message that waits", async () => {
  const sandbox = await sandboxFor();
  expect(await askTwilio(sandbox, TEXT)).toMatchObject({
    status: 201,
    body: { sid: sandbox.texts[0]?.id, status: "queued", to: TEXT.To, error_code: null },
  });
});

test.each([
  ["nobody", TEXT, "Basic bm9ib2R5", 401, 20003],
  ["a text to nowhere", { ...TEXT, To: "12345" }, undefined, 400, 21211],
  ["a text from nobody", { To: TEXT.To, Body: "Hello" }, undefined, 400, 21603],
  ["a text without words", { ...TEXT, Body: "" }, undefined, 400, 21602],
  ["a text that is too long", { ...TEXT, Body: "x".repeat(1_601) }, undefined, 400, 21617],
])("Twilio refuses %s in its own form", async (_, fields, authorization, status, code) => {
  const sandbox = await sandboxFor();
  expect(await askTwilio(sandbox, fields, authorization)).toMatchObject({
    status,
    body: { code, status, more_info: `https://www.twilio.com/docs/errors/${code}` },
  });
  expect(sandbox.texts).toEqual([]);
});

test("SNS refuses what is not signed, in XML", async () => {
  const sandbox = await sandboxFor();
  const body = new URLSearchParams({ Action: "Publish", PhoneNumber: TEXT.To, Message: "Hello" });
  const answer = await fetch(sandbox.url("sns"), { method: "POST", body });
  expect(answer.status).toBe(403);
  expect(answer.headers.get("x-amzn-requestid")).toMatch(/^[0-9a-f-]{36}$/);
  expect(await answer.text()).toContain("<Code>MissingAuthenticationToken</Code>");
});

test("another process stops a phone and reads the texts over HTTP", async () => {
  const sandbox = await sandboxFor();
  await askTwilio(sandbox, TEXT);
  const control = `http://127.0.0.1:${sandbox.port}/_sandbox`;
  expect(await (await fetch(`${control}/texts`)).json()).toEqual(sandbox.texts);
  await fetch(`${control}/stop`, { method: "POST", body: JSON.stringify({ number: TEXT.To }) });
  expect(await askTwilio(sandbox, TEXT)).toMatchObject({ status: 400, body: { code: 21610 } });
});

test("an environment is given for the services that send texts, and for no other", async () => {
  const sandbox = await sandboxFor();
  expect(sandbox.textEnvironment("twilio")).toMatchObject({
    SMS_PROVIDER: "twilio",
    TWILIO_BASE_URL: sandbox.url("twilio"),
  });
  expect(sandbox.textEnvironment("sns")).toMatchObject({ SNS_BASE_URL: sandbox.url("sns") });
  expect(() => sandbox.textEnvironment("ups")).toThrow('sends no texts as "ups"');
});
