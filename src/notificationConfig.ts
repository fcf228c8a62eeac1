import { BlockList, isIP } from "node:net";
import { z } from "zod";
import { UsageError } from "./errors.ts";
import { readUrl } from "./readUrl.ts";
import { readVariable, toSecret } from "./readVariable.ts";
import type { Secret } from "./secret.ts";

/** How people are reached beside the app; what is null is not configured, and nothing is queued for it. */
export interface NotificationConfig {
  readonly email: EmailConfig | null;
  readonly sms: SmsConfig | null;
  readonly webhook: {
    /** Private networks that endpoints may lie in, and to which http will do; empty unless said. */
    readonly allowedNetworks: BlockList;
  };
}

export interface EmailConfig {
  /** smtp(s)://user:password@host:port; nodemailer's options may follow as a query. */
  readonly smtpUrl: Secret;
  /** The sender: an address, or a name and an address in angle brackets. */
  readonly from: string;
  /** Where people reach this bookpost's HTTP server, without a slash at the end; null: nowhere, so messages carry no link to unsubscribe with one click. */
  readonly publicUrl: string | null;
}

export type SmsConfig = {
  /** Countries (ISO 3166-1 alpha-2) whose numbers are sent to; null: all. */
  readonly countries: ReadonlySet<string> | null;
} & (
  | {
      readonly provider: "twilio";
      readonly accountSid: string;
      readonly authToken: Secret;
      /** A number, a sender's name, or a messaging service's SID (MG…). */
      readonly from: string;
      readonly baseUrl: string;
    }
  | {
      readonly provider: "sns";
      readonly region: string;
      /** Shown as the sender where the country allows it. */
      readonly senderId: string | null;
      /** Null: AWS's own. */
      readonly baseUrl: string | null;
    }
);

const TWILIO = "https://api.twilio.com";

const text = (pattern: RegExp, what: string) => z.string().regex(pattern).describe(what);

const address = text(
  /^[^@\s<>"]+@[^@\s<>"]+$|^[^<>"\r\n]+ <[^@\s<>"]+@[^@\s<>"]+>$/,
  "an address such as bookpost@example.org or Bookpost <bookpost@example.org>",
);

/** Reads and checks what the environment says of email, text messages and webhooks. Called by `readConfig` only. */
export function readNotificationConfig(env: NodeJS.ProcessEnv): NotificationConfig {
  return {
    email: readEmail(env),
    sms: readSms(env),
    webhook: { allowedNetworks: readNetworks(env) },
  };
}

function readEmail(env: NodeJS.ProcessEnv): EmailConfig | null {
  const smtpUrl = toSecret(
    readVariable(
      env,
      "SMTP_URL",
      z
        .url({ protocol: /^smtps?$/ })
        .describe("a mail server such as smtp://user:password@host:587")
        .optional(),
      { isSecret: true },
    ),
  );
  const from = readVariable(env, "MAIL_FROM", address.optional());
  const publicUrl = readUrl(env, "PUBLIC_URL");
  if (smtpUrl === null) return null;
  return { smtpUrl, from: from ?? senderOf(new URL(smtpUrl.reveal())), publicUrl };
}

/** The login where it is an address, else one at the mail server's name. */
function senderOf({ username, hostname }: URL): string {
  const user = decodeURIComponent(username);
  return address.safeParse(user).success ? user : `bookpost@${hostname || "localhost"}`;
}

function readSms(env: NodeJS.ProcessEnv): SmsConfig | null {
  const provider = readVariable(
    env,
    "SMS_PROVIDER",
    z.enum(["twilio", "sns"]).describe("twilio or sns").optional(),
  );
  const listed = readVariable(
    env,
    "SMS_COUNTRIES",
    text(/^[A-Z]{2}(,[A-Z]{2})*$/, "countries such as GB,IE,US").optional(),
  );
  const countries = listed === undefined ? null : new Set(listed.split(","));
  for (const country of countries ?? [])
    if (!isCountry(country))
      throw new UsageError(
        "BAD_ENVIRONMENT",
        `SMS_COUNTRIES must be countries such as GB,IE,US; "${country}" is no country.`,
      );
  switch (provider) {
    case undefined:
      return null;
    case "twilio":
      return {
        provider,
        countries,
        accountSid: readVariable(
          env,
          "TWILIO_ACCOUNT_SID",
          text(/^AC[0-9a-f]{32}$/, "a Twilio account's SID (AC and 32 hexadecimal digits)"),
        ),
        authToken: needSecret(env, "TWILIO_AUTH_TOKEN", "Twilio's auth token"),
        from: readVariable(
          env,
          "TWILIO_FROM",
          text(
            /^(\+[1-9][0-9]{1,14}|MG[0-9a-f]{32}|[A-Za-z0-9 ]{1,11}|[0-9]{3,8})$/,
            "the sender: a number such as +15005550006, a messaging service's SID (MG…) or a name of up to 11 letters",
          ),
        ),
        baseUrl: readUrl(env, "TWILIO_BASE_URL") ?? TWILIO,
      };
    case "sns":
      return {
        provider,
        countries,
        region: readVariable(
          env,
          "AWS_REGION",
          text(/^[a-z]{2}(-[a-z]+)+-\d$/, "an AWS region such as eu-west-1"),
        ),
        senderId:
          readVariable(
            env,
            "SNS_SENDER_ID",
            text(
              /^(?=.*[A-Za-z])[A-Za-z0-9-]{1,11}$/,
              "a sender's name of up to 11 letters, digits and hyphens",
            ).optional(),
          ) ?? null,
        baseUrl: readUrl(env, "SNS_BASE_URL"),
      };
    default:
      return provider satisfies never;
  }
}

const names = new Intl.DisplayNames(["en"], { type: "region", fallback: "none" });

/** ISO 3166-1 alpha-2; an old or wrong name of one, such as UK for GB, would never match a phone number's. */
function isCountry(code: string): boolean {
  return names.of(code) !== undefined && new Intl.Locale(`und-${code}`).region === code;
}

function needSecret(env: NodeJS.ProcessEnv, name: string, what: string): Secret {
  const secret = toSecret(
    readVariable(env, name, z.string().min(1).describe(what), { isSecret: true }),
  );
  return secret as Secret;
}

function readNetworks(env: NodeJS.ProcessEnv): BlockList {
  const networks = new BlockList();
  for (const network of (env.WEBHOOK_ALLOWED_NETWORKS ?? "").split(",")) {
    if (network.trim() === "") continue;
    const [, start = "", bits = ""] = /^\s*([0-9a-fA-F.:]+)\/(\d{1,3})\s*$/.exec(network) ?? [];
    const family = isIP(start);
    if (family === 0 || Number(bits) > (family === 4 ? 32 : 128))
      throw new UsageError(
        "BAD_ENVIRONMENT",
        `WEBHOOK_ALLOWED_NETWORKS must be networks such as 127.0.0.0/8,10.1.0.0/16; "${network.trim()}" is none.`,
      );
    networks.addSubnet(start, Number(bits), family === 4 ? "ipv4" : "ipv6");
  }
  return networks;
}
