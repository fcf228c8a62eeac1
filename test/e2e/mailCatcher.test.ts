import nodemailer, { type SendMailOptions } from "nodemailer";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Arrival } from "../../src/demo/arrival.ts";
import { type MailCatcher, startMailCatcher } from "../../src/demo/mailCatcher.ts";

const arrived: Arrival[] = [];
let catcher: MailCatcher;

beforeAll(async () => {
  catcher = await startMailCatcher((arrival) => arrived.push(arrival));
});

afterAll(() => catcher.close());

async function mail(content: SendMailOptions): Promise<Arrival | undefined> {
  const transport = nodemailer.createTransport(catcher.url);
  await transport.sendMail({ from: "bookpost@example.org", to: "ada@example.org", ...content });
  transport.close();
  return arrived.at(-1);
}

// Longer than a line of an email may be, so that it is folded on its way.
const LONG =
  "Czesław Miłosz, Żółć: à la recherche d'un titre qui ne tient pas sur une seule ligne, et de loin";

test.for(["quoted-printable", "base64"] as const)(
  "a mail in %s is read as it was written: subject, and the first two lines of its text",
  async (textEncoding) => {
    const text = `${LONG}\n\n  1 = 1, =C3=A9 \n\nthe third line`;
    expect(
      await mail({ subject: `"${LONG}"`, text, html: "<p>not this</p>", textEncoding }),
    ).toEqual({
      channel: "email",
      to: "ada@example.org",
      headline: `"${LONG}"`,
      lines: [LONG, "1 = 1, =C3=A9"],
    });
  },
);

test("a mail of plain ASCII, without HTML, is read too, its subject only once, and one without text has no lines", async () => {
  expect(await mail({ subject: "Emma", text: "Emma\nOne.\nTwo." })).toMatchObject({
    headline: "Emma",
    lines: ["One.", "Two."],
  });
  expect(await mail({ subject: "Emma", html: "<p>One.</p>" })).toMatchObject({ lines: [] });
});

test("a mail to two people arrives twice", async () => {
  const before = arrived.length;
  await mail({ to: ["ada@example.org", "ewa@example.org"], subject: "Emma", text: "One." });
  expect(arrived.slice(before).map(({ to }) => to)).toEqual(["ada@example.org", "ewa@example.org"]);
});
