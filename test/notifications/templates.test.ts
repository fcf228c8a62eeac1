import { describe, expect, test } from "vitest";
import { emailOf } from "../../src/notifications/templates/email.ts";
import { en } from "../../src/notifications/templates/en.ts";
import { inert } from "../../src/notifications/templates/inert.ts";
import { languageOf } from "../../src/notifications/templates/languages.ts";
import { sentenceOf } from "../../src/notifications/templates/sentence.ts";
import { fitsTwoSegments, smsOf } from "../../src/notifications/templates/sms.ts";
import { calendarOf, estimateOf, timeOf } from "../../src/notifications/templates/times.ts";
import { messageOf, newsOf } from "./newsOf.ts";

describe("one news is one sentence", () => {
  test.each([
    [{}, "Your book 'Dune' is now: out for delivery"],
    [{ status: "pre_transit" }, "Your book 'Dune' is now: announced to the carrier"],
    [{ status: "in_transit" }, "Your book 'Dune' is now: in transit"],
    [{ status: "available_for_pickup" }, "Your book 'Dune' is now: available for pickup"],
    [{ status: "return_to_sender" }, "Your book 'Dune' is now: returned to sender"],
    [{ status: "cancelled" }, "Your book 'Dune' is now: cancelled"],
    [{ status: "new_stage" }, "Your book 'Dune' is now: new stage"],
    [{ status: "constructor" }, "Your book 'Dune' is now: constructor"],
    [{ status: "delivered" }, "Your book 'Dune' has been delivered!"],
    [
      { status: "exception", detail: "Held at customs" },
      "Alert: 'Dune' shipment exception: Held at customs",
    ],
    [{ status: "exception", detail: null }, "Alert: 'Dune' shipment exception"],
    [{ status: "exception", detail: "\u202e" }, "Alert: 'Dune' shipment exception"],
    [
      { kind: "action_required" as const, detail: "Pay 3.50 duty" },
      "Action needed: the carrier is waiting for you before it can deliver 'Dune': Pay 3.50 duty",
    ],
    [{ kind: "estimate" as const }, "Your book 'Dune' is now expected: Wed, 27 August 2025"],
    [
      { kind: "estimate" as const, estimatedUntil: null },
      "The expected delivery of your book 'Dune' has changed",
    ],
  ])("%j", (changes, sentence) => {
    expect(sentenceOf(newsOf(changes), "en")).toBe(sentence);
  });
});

test("a language that is not there is told in the next wider one, at last in English", () => {
  const pt = { ...en, tag: "pt" };
  const languages = new Map([["pt", pt]]);
  expect(languageOf("pt-BR", languages)).toBe(pt);
  expect(languageOf("pt", languages)).toBe(pt);
  expect(languageOf("fr-CA", languages)).toBe(en);
  expect(languageOf("", languages)).toBe(en);
});

describe("a time", () => {
  const berlin = calendarOf(en, "en", "Europe/Berlin");

  test("that is an instant is shown in the person's zone, with its name", () => {
    expect(timeOf(newsOf(), berlin)).toMatch(/26 August 2025.* 17:44 CEST$/);
    expect(timeOf(newsOf(), calendarOf(en, "en-US", "America/New_York"))).toMatch(
      /August 26, 2025.* 11:44\sAM EDT$/,
    );
  });

  test("without a zone stays what the clock there showed", () => {
    expect(timeOf(newsOf({ occurredAt: null, timeZone: null }), berlin)).toMatch(
      /26 August 2025.* 16:44 \(local time there\)$/,
    );
  });

  test("that is a day stays that day, wherever the person is", () => {
    const day = newsOf({ isDateOnly: true, localTime: "2025-08-26T00:00:00" });
    for (const zone of ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
      expect(timeOf(day, calendarOf(en, "en", zone))).toMatch(/26 August 2025$/);
  });

  test("in a zone that nobody knows is told in UTC", () => {
    expect(timeOf(newsOf(), calendarOf(en, "en", "Mars/Olympus"))).toMatch(/15:44 UTC$/);
  });

  test("that is no date is not told", () => {
    expect(timeOf(newsOf({ occurredAt: "infinity" }), berlin)).toBeNull();
  });

  test("of an estimate is a range where there are two", () => {
    const news = newsOf({
      isEstimateADate: false,
      estimatedFrom: "2025-08-27T09:00:00",
      estimatedUntil: "2025-08-27T11:00:00",
    });
    expect(estimateOf(news, berlin)).toMatch(/09:00 to .*11:00 \(local time there\)$/);
  });
});

describe("text from outside", () => {
  test.each([
    ["http://evil.com/x", "evil. com/x"],
    ["see HTTPS://www.evil.com now", "see www. evil. com now"],
    ["a@b.com", "a @ b. com"],
    ["evil\u3002com", "evil\u3002 com"],
    ["\\\\evil\\share", "evil\\share"],
    ["javascript:alert(1)", "javascript: alert(1)"],
    ["mailto:x", "mailto: x"],
    ["at 10.0.0.1", "at 10. 0. 0. 1"],
    ["3.5 kg at 10:30", "3.5 kg at 10:30"],
    ["evil\u200b.com", "evil. com"],
    ["de\u202elivered\u0000", "delivered"],
    ["👩\u200d👧", "👩\u200d👧"],
    ["\ufeff", null],
    [null, null],
  ])("%j reads %j", (text, safe) => {
    expect(inert(text)).toBe(safe);
  });
});

const HOSTILE =
  "\u202e<script>alert(1)</script><a href='http://evil.com'>www.evil.com</a>\r\nBcc: victim@evil.com \"'&\u0000 https://evil.com";

test("hostile text of a carrier and in a title comes out inert everywhere", () => {
  const news = newsOf({
    title: `Dune ${HOSTILE}`,
    detail: HOSTILE,
    location: HOSTILE,
    status: "exception",
    parcel: {
      ...newsOf().parcel,
      carrierName: HOSTILE,
      trackingNumber: HOSTILE,
      trackingPage: "javascript:alert(1)",
    },
  });
  const email = emailOf(messageOf({ news: [news] }), null);
  const sms = smsOf(messageOf({ news: [news] }));
  for (const text of [email.subject, email.text, email.html, sms, sentenceOf(news, "en")])
    expect(text.replace("https://usual.example.org/AB123456785GB", "")).not.toMatch(
      /https?:\/\/|evil\.com|\S@\S|\u202e|\0|javascript:\S/,
    );
  expect(email.subject).not.toMatch(/[\r\n]/);
  expect(sms).not.toMatch(/[\r\n]/);
  expect(email.html).not.toMatch(/<script|<a |'>/);
  expect(email.html).toContain("&lt;script&gt;");
});

describe("an email", () => {
  test("tells title, status, place, time, estimate, the carrier's words, number and page", () => {
    const { subject, text, html } = emailOf(messageOf(), "https://b.example.org/unsubscribe/t");
    expect(subject).toBe("Your book 'Dune' is now: out for delivery");
    for (const part of [text, html])
      for (const fact of [
        "Dune",
        "out for delivery",
        "Leeds",
        "17:44 CEST",
        "27 August 2025",
        "On vehicle",
        "Royal Mail",
        "AB123456785GB",
        "https://track.example.org/AB123456785GB",
        "https://b.example.org/unsubscribe/t",
      ])
        expect(part).toContain(fact);
  });

  test.each([
    ["http://track.example.org/1"],
    ["https://user:word@track.example.org/1"],
    ["data:text/html,x"],
  ])("has no link to %s", (trackingPage) => {
    const news = newsOf({ parcel: { ...newsOf().parcel, trackingPage } });
    const { text, html } = emailOf(messageOf({ news: [news] }), null);
    expect(text + html).not.toContain(trackingPage);
    expect(html).not.toContain("href");
  });

  test("of several books in one parcel names the first and counts the rest", () => {
    const news = ["Dune", "Emma", "Ulysses"].map((title) => newsOf({ title }));
    const { subject, text } = emailOf(messageOf({ news }), null);
    expect(subject).toBe(
      "Your 3 books in one parcel ('Dune' and 2 more) are now: out for delivery",
    );
    for (const title of ["Dune", "Emma", "Ulysses"]) expect(text).toContain(`'${title}'`);
  });

  test("that is a digest counts the books", () => {
    const news = [newsOf(), newsOf({ status: "delivered" }), newsOf({ title: "Emma" })];
    expect(emailOf(messageOf({ kind: "digest", news }), null).subject).toBe(
      "News of 2 of your books",
    );
  });

  test("of a webhook that was disabled names its host and not its path", () => {
    const endpoint = {
      id: "e",
      url: "https://hooks.example.org/secret",
      description: "Shop",
      disabledReason: "gone" as const,
      secrets: null,
    };
    const { subject, text, html } = emailOf(
      messageOf({ kind: "endpoint_disabled", news: [], endpoint }),
      null,
    );
    expect(subject).toBe("Your webhook has been switched off");
    expect(text).toContain("hooks. example. org");
    expect(text).toContain("(410)");
    expect(text + html).not.toContain("secret");
  });
});

describe("a text message", () => {
  test.each([
    [
      messageOf(),
      "Your book 'Dune' is now: out for delivery https://usual.example.org/AB123456785GB",
    ],
    [
      messageOf({ news: [newsOf({ status: "exception" })] }),
      "Alert: 'Dune' shipment exception https://usual.example.org/AB123456785GB",
    ],
    [
      messageOf({ news: [newsOf(), newsOf({ title: "Emma" })] }),
      "Your 2 books in one parcel ('Dune' and 1 more) are now: out for delivery https://usual.example.org/AB123456785GB",
    ],
    [
      messageOf({ kind: "test", news: [] }),
      "This is a test: messages from bookpost reach you here.",
    ],
    [
      messageOf({ kind: "verification", news: [], code: "123456" }),
      "123456 is your bookpost code. If you did not ask for it, ignore this message.",
    ],
  ])("%#", (message, text) => {
    expect(smsOf(message)).toBe(text);
  });

  test("has nothing of the carrier's answer", () => {
    const text = smsOf(messageOf());
    for (const word of ["On vehicle", "Leeds", "track.example"]) expect(text).not.toContain(word);
  });

  test.each(["x", "€", "é", "ж", "📚", "["])(
    "has two segments at most, whatever the title: %s",
    (sign) => {
      const text = smsOf(messageOf({ news: [newsOf({ title: sign.repeat(500) })] }));
      expect(fitsTwoSegments(text)).toBe(true);
      expect(text).toContain("https://usual.example.org/AB123456785GB");
      expect(text.isWellFormed()).toBe(true);
    },
  );

  test.each([
    ["x".repeat(306), true],
    ["x".repeat(307), false],
    ["€".repeat(153), true],
    ["€".repeat(154), false],
    ["ж".repeat(134), true],
    ["ж".repeat(135), false],
  ])("%#: two segments or not", (text, fits) => {
    expect(fitsTwoSegments(text)).toBe(fits);
  });
});
