import { inspect } from "node:util";
import { getCountries } from "libphonenumber-js/max";
import { expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { readNotificationConfig } from "../../src/notificationConfig.ts";

const TWILIO = {
  SMS_PROVIDER: "twilio",
  TWILIO_ACCOUNT_SID: `AC${"0a".repeat(16)}`,
  TWILIO_AUTH_TOKEN: "hunter2hunter2",
  TWILIO_FROM: "+15005550006",
};

const SNS = { SMS_PROVIDER: "sns", AWS_REGION: "eu-west-1" };

test("without SMS_PROVIDER no texts are sent, whatever else is set", () => {
  const { SMS_PROVIDER: _, ...rest } = TWILIO;
  expect(readNotificationConfig({}).sms).toBeNull();
  expect(readNotificationConfig({ ...rest, AWS_REGION: "eu-west-1" }).sms).toBeNull();
});

test("Twilio needs an account, a token and a sender, and is asked at its own address", () => {
  const { sms } = readNotificationConfig({ ...TWILIO, SMS_COUNTRIES: "GB,IE" });
  expect(sms).toMatchObject({
    provider: "twilio",
    countries: new Set(["GB", "IE"]),
    accountSid: TWILIO.TWILIO_ACCOUNT_SID,
    from: "+15005550006",
    baseUrl: "https://api.twilio.com",
  });
  expect(inspect(sms, { depth: 9 }) + JSON.stringify(sms)).not.toContain("hunter2");
});

test("SNS needs a region, and shows a sender where one is set", () => {
  expect(readNotificationConfig(SNS).sms).toEqual({
    provider: "sns",
    countries: null,
    region: "eu-west-1",
    senderId: null,
    baseUrl: null,
  });
  expect(readNotificationConfig({ ...SNS, SNS_SENDER_ID: "BOOKPOST" }).sms).toMatchObject({
    senderId: "BOOKPOST",
  });
});

test.each(["+15005550006", `MG${"0a".repeat(16)}`, "Bookpost", "BOOKS 4 YOU", "88888"])(
  "a sender may be %s",
  (from) => {
    expect(readNotificationConfig({ ...TWILIO, TWILIO_FROM: from }).sms).toMatchObject({ from });
  },
);

test("every country that has phone numbers can be listed", () => {
  const all = getCountries();
  expect(readNotificationConfig({ ...SNS, SMS_COUNTRIES: all.join(",") }).sms?.countries).toEqual(
    new Set(all),
  );
});

test.each(["us-east-1", "us-gov-west-1", "ap-southeast-2"])("a region may be %s", (region) => {
  expect(readNotificationConfig({ ...SNS, AWS_REGION: region }).sms).toMatchObject({ region });
});

test.each([
  ["SMS_PROVIDER", "nexmo", TWILIO, /^SMS_PROVIDER must be twilio or sns; "nexmo" is not/],
  ["SMS_PROVIDER", "Twilio", TWILIO, /^SMS_PROVIDER must be twilio or sns/],
  ["SMS_COUNTRIES", "GB, IE", TWILIO, /^SMS_COUNTRIES must be countries such as GB,IE,US/],
  ["SMS_COUNTRIES", "gb", TWILIO, /^SMS_COUNTRIES must be countries/],
  ["SMS_COUNTRIES", "GBR", SNS, /^SMS_COUNTRIES must be countries/],
  ["SMS_COUNTRIES", "GB,", SNS, /^SMS_COUNTRIES must be countries/],
  ["SMS_COUNTRIES", "UK", SNS, /^SMS_COUNTRIES .*"UK" is no country/],
  ["SMS_COUNTRIES", "GB,QX", SNS, /^SMS_COUNTRIES .*"QX" is no country/],
  ["TWILIO_ACCOUNT_SID", "", TWILIO, /^TWILIO_ACCOUNT_SID must be a Twilio account's SID/],
  ["TWILIO_ACCOUNT_SID", `SK${"0a".repeat(16)}`, TWILIO, /^TWILIO_ACCOUNT_SID must be/],
  ["TWILIO_ACCOUNT_SID", `AC${"0a".repeat(16)}/..`, TWILIO, /^TWILIO_ACCOUNT_SID must be/],
  ["TWILIO_AUTH_TOKEN", "", TWILIO, /^TWILIO_AUTH_TOKEN must be Twilio's auth token/],
  ["TWILIO_FROM", "", TWILIO, /^TWILIO_FROM must be the sender/],
  ["TWILIO_FROM", "020 7946 0123", TWILIO, /^TWILIO_FROM must be the sender/],
  ["TWILIO_FROM", "+0123", TWILIO, /^TWILIO_FROM must be the sender/],
  ["TWILIO_FROM", "A name that is too long", TWILIO, /^TWILIO_FROM must be the sender/],
  ["TWILIO_FROM", "+15005550006\n", TWILIO, /^TWILIO_FROM must be the sender/],
  ["TWILIO_BASE_URL", "http://twilio.example", TWILIO, /^TWILIO_BASE_URL must be an https address/],
  ["TWILIO_BASE_URL", "https://a.example/?q=1", TWILIO, /^TWILIO_BASE_URL must be an https/],
  ["AWS_REGION", "", SNS, /^AWS_REGION must be an AWS region such as eu-west-1/],
  ["AWS_REGION", "Europe", SNS, /^AWS_REGION must be an AWS region/],
  ["AWS_REGION", "eu-west-1.evil.example", SNS, /^AWS_REGION must be an AWS region/],
  ["SNS_SENDER_ID", "MUCH-TOO-LONG", SNS, /^SNS_SENDER_ID must be a sender's name/],
  ["SNS_SENDER_ID", "12345", SNS, /^SNS_SENDER_ID must be a sender's name/],
  ["SNS_SENDER_ID", "BOOK POST", SNS, /^SNS_SENDER_ID must be a sender's name/],
  ["SNS_BASE_URL", "ftp://127.0.0.1", SNS, /^SNS_BASE_URL must be an https address/],
])("%s=%j is refused with its name and the way out", (name, value, environment, sentence) => {
  const read = () => readNotificationConfig({ ...environment, [name]: value });
  expect(read).toThrow(UsageError);
  expect(read).toThrow(sentence);
});

test.each([
  ["TWILIO_BASE_URL", "https://user:hunter2hunter2@twilio.example", TWILIO],
  ["SNS_BASE_URL", "https://user:hunter2hunter2@sns.example", SNS],
])("a refused %s does not show its secret", (name, value, environment) => {
  try {
    readNotificationConfig({ ...environment, [name]: value });
    expect.unreachable();
  } catch (error) {
    expect(inspect(error)).not.toContain("hunter2");
  }
});
