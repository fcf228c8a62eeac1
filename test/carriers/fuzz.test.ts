import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CarrierAdapter, LookupSubject, Tracking } from "../../src/carriers/carrier.ts";
import { foldStatus, orderEvents } from "../../src/carriers/foldStatus.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { adapters } from "../../src/carriers/registry.ts";
import { isLookupError, type LookupError } from "../../src/errors.ts";
import { runCount } from "../helpers/runCount.ts";
import { type Fixture, readFixtures } from "./readFixtures.ts";

const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

function read(adapter: CarrierAdapter, body: string, status = 200): Tracking | LookupError {
  try {
    const receivedAt = new Date("2025-09-01T12:00:00Z");
    return readAnswer(adapter, { status, headers: {}, body, receivedAt }, subjectOf(adapter));
  } catch (error) {
    if (isLookupError(error)) return error;
    throw error;
  }
}

const subjects = new Map<string, LookupSubject>();

/** The parcel that the first fixture is about: asked about another one, some would not read the answer at all. */
function subjectOf({ code }: CarrierAdapter): LookupSubject {
  const subject = subjects.get(code) ?? readFixtures(code)[0]?.subject;
  if (subject === undefined) throw new Error(`no fixture of ${code}`);
  subjects.set(code, subject);
  return subject;
}

/** What the database and the messages rely on, whatever the carrier sent. */
function expectSound(result: Tracking | LookupError): void {
  if (isLookupError(result)) {
    expect(result.code).not.toBe("PARSE_BUG");
    expect(result.code).toMatch(/^[\w.-]{1,40}$/);
    return;
  }
  for (const event of result.events) {
    expect(event.occurredAt ?? event.localTime).not.toBeNull();
    if (event.occurredAt !== null)
      expect(new Date(event.occurredAt).toISOString()).toBe(event.occurredAt.replace("Z", ".000Z"));
    expect(event.localTime ?? "2025-01-01").toMatch(/^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d)?$/);
    expect(event.identity.length).toBeLessThanOrEqual(100);
  }
  const texts = JSON.stringify(result, (_, value) => (value === null ? undefined : value));
  JSON.parse(texts, (_, value) => {
    if (typeof value !== "string") return value;
    expect(value.isWellFormed()).toBe(true);
    expect(value).not.toMatch(UNSAFE);
    return value;
  });
  for (const { sortAt } of orderEvents(result.events)) expect(sortAt).toMatch(/^\d{4}-.*Z$/);
  foldStatus(result);
}

type Json = fc.JsonValue | undefined;

/** Every place in a JSON value, as the steps to it. */
function places(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))];
}

function replaceAt(value: unknown, path: readonly string[], by: Json): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return by;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value))
    return value.map((inner, i) => (String(i) === key ? replaceAt(inner, rest, by) : inner));
  return { ...value, [key]: replaceAt((value as Record<string, unknown>)[key], rest, by) };
}

const hostileText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom(
    "",
    "\0",
    "\u202edelivered",
    "DELIVERED",
    "constructor",
    "__proto__",
    "é".repeat(9_999),
  ),
);
const replacement: fc.Arbitrary<Json> = fc.oneof(
  fc.constant(undefined),
  hostileText,
  fc.jsonValue({ maxDepth: 2 }),
);

/** A fixture's body with up to four places replaced by something else, or by nothing. */
function mutated(fixtures: readonly Fixture[]): fc.Arbitrary<string> {
  const bodies = fixtures.map((fixture) => fixture.reply.body);
  return fc.constantFrom(...bodies).chain((body) => {
    const all = places(body);
    const change = fc.tuple(fc.constantFrom(...all), replacement);
    return fc
      .array(change, { minLength: 1, maxLength: 4 })
      .map((changes) =>
        changes.reduce<unknown>((value, [path, by]) => replaceAt(value, path, by), body),
      )
      .map((value) => JSON.stringify(value) ?? "");
  });
}

/** An answer as its adapter compares it: Australia Post's codes are words, in any case and with blanks. */
function asCodes(code: string, text: string): string {
  return code === "australia_post" ? text.toLowerCase().replaceAll(" ", "_") : text;
}

describe.each(adapters.map((adapter) => ({ code: adapter.code, adapter })))(
  "$code",
  ({ code, adapter }) => {
    const found = readFixtures(code).filter(({ expected }) => expected.outcome === "found");

    test("any text at all ends in a tracking or one of our errors", () => {
      fc.assert(
        fc.property(fc.string({ unit: "binary" }), fc.constantFrom(200, 404, 500), (text, status) =>
          expectSound(read(adapter, text, status)),
        ),
      );
    });

    test("any JSON at all ends in a tracking or one of our errors", () => {
      fc.assert(
        fc.property(fc.json(), fc.constantFrom(200, 401, 429), (text, status) =>
          expectSound(read(adapter, text, status)),
        ),
      );
    });

    test("an answer changed anywhere ends in a sound tracking or one of our errors", () => {
      fc.assert(
        fc.property(mutated(found), (text) => expectSound(read(adapter, text))),
        { numRuns: runCount(100, 500) },
      );
    });

    test("without a code of delivery nothing is ever delivered, whatever the texts say", () => {
      const codes = Object.entries(adapter.stages).flatMap(([listed, stage]) =>
        stage === "delivered" ? [listed] : [],
      );
      const innocent = found.filter(
        ({ expected, reply }) =>
          expected.status !== "delivered" &&
          !mentions(reply.body, [...codes, "DD", "DEL", "D"]) &&
          !codes.some((listed) =>
            asCodes(code, JSON.stringify(reply.body)).includes(JSON.stringify(listed)),
          ),
      );
      expect(innocent.length).toBeGreaterThan(1);
      fc.assert(
        fc.property(mutated(innocent), (text) => {
          // The change may have put one in.
          if (codes.some((listed) => asCodes(code, text).includes(JSON.stringify(listed)))) return;
          const result = read(adapter, text);
          if (isLookupError(result)) return;
          expect(result.status).not.toBe("delivered");
          expect(foldStatus(result).status).not.toBe("delivered");
        }),
        { numRuns: runCount(100, 500) },
      );
    });
  },
);

/** Whether any value in a body is one of these texts. */
function mentions(body: unknown, texts: readonly string[]): boolean {
  let isThere = false;
  JSON.stringify(body, (_, value) => {
    if (texts.includes(value)) isThere = true;
    return value;
  });
  return isThere;
}
