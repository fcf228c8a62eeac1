import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { CarrierAdapter, Credentials } from "../../src/carriers/carrier.ts";
import { foldStatus } from "../../src/carriers/foldStatus.ts";
import { readAnswer } from "../../src/carriers/readAnswer.ts";
import { adapterFor, adapters } from "../../src/carriers/registry.ts";
import { isLookupError } from "../../src/errors.ts";
import { Secret } from "../../src/secret.ts";
import { type Fixture, readFixtures } from "./readFixtures.ts";

/** What every adapter owes, with the outcome each situation stands for. */
const SITUATIONS: Readonly<Record<string, string>> = {
  in_transit: "in_transit",
  delivered: "delivered",
  exception: "exception",
  return: "return_to_sender",
  unknown_code: "in_transit",
  not_found: "not_found",
  refused: "rejected",
  rate_limited: "rate_limited",
  server_error: "unavailable",
  malformed: "malformed",
};

/** What an API has no code for, and what its fixture shows instead. */
const OTHERWISE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  // A return shows in PostNL's texts alone: by its codes it could not be delivered.
  postnl: { return: "exception" },
  // No status of Australia Post's means a return: it could not be delivered.
  australia_post: { return: "exception" },
};

function situationsOf(adapter: CarrierAdapter): Record<string, string> {
  const knowsLastDay = Object.values(adapter.stages).includes("out_for_delivery");
  return {
    ...SITUATIONS,
    ...(knowsLastDay ? { out_for_delivery: "out_for_delivery" } : {}),
    ...OTHERWISE[adapter.code],
  };
}

function read(adapter: CarrierAdapter, { response, subject }: Fixture): unknown {
  try {
    const tracking = readAnswer(adapter, response, subject);
    const { status, deliveredEvent } = foldStatus(tracking);
    return {
      outcome: "found",
      status,
      deliveredAt: deliveredEvent?.occurredAt ?? null,
      deliveredLocalTime: deliveredEvent?.localTime ?? null,
      tracking,
    };
  } catch (error) {
    if (!isLookupError(error)) throw error;
    const { outcome, code, retryAt } = error;
    return { outcome, code, retryAt: retryAt?.toISOString() ?? null };
  }
}

test("no two adapters share a code, and each is found by its own", () => {
  expect(new Set(adapters.map(({ code }) => code)).size).toBe(adapters.length);
  for (const adapter of adapters) expect(adapterFor(adapter.code)).toBe(adapter);
  expect(adapterFor("pigeon")).toBeNull();
});

describe.each(adapters.map((adapter) => ({ code: adapter.code, adapter })))(
  "$code",
  ({ code, adapter }) => {
    const credentials: Credentials = Object.fromEntries(
      Object.keys(adapter.credentials).map((suffix) => [suffix, new Secret(`canary-${suffix}`)]),
    );

    test("lives in a file of its name, and its base URL can be joined to", () => {
      expect(existsSync(new URL(`../../src/carriers/${code}.ts`, import.meta.url))).toBe(true);
      expect(adapter.baseUrl).toMatch(/^https:\/\/[^?#]*[^/?#]$/);
      expect(Object.keys(adapter.credentials).join(" ")).toMatch(/^[A-Z_ ]+$/);
    });

    test("no credential and no raw piece of a number gets into an address", () => {
      const trackingNumber = "A/../B?x=1&y#z\r\nX: 1";
      const carrierCode = readFixtures(code)[0]?.subject.carrierCode ?? code;
      const { path, body = "" } = adapter.request([{ trackingNumber, carrierCode }]);
      const inPath = path.includes(encodeURIComponent(trackingNumber));
      const inBody = body.includes(JSON.stringify(trackingNumber));
      expect(inPath || inBody).toBe(true);
      expect(path).not.toContain(trackingNumber);
      const { authentication } = adapter;
      if (authentication.kind === "oauth2")
        expect(authentication.tokenRequest(credentials).path).not.toContain("canary");
      expect(path).not.toContain("canary");
    });

    test("has a fixture for each situation", () => {
      const present = readFixtures(code).map(({ situation }) => situation);
      expect(present).toEqual(expect.arrayContaining(Object.keys(situationsOf(adapter))));
    });

    test.each(readFixtures(code))("reads $situation exactly", (fixture) => {
      expect(read(adapter, fixture)).toEqual(fixture.expected);
      const meant = situationsOf(adapter)[fixture.situation];
      if (meant !== undefined)
        expect([fixture.expected.outcome, fixture.expected.status]).toContain(meant);
    });

    test("an unlisted code keeps its scan, changes no status and is reported", () => {
      const fixture = readFixtures(code).find(({ situation }) => situation === "unknown_code");
      if (fixture === undefined) throw new Error("no fixture unknown_code");
      const { events, warnings } = readAnswer(adapter, fixture.response, fixture.subject);
      const unlisted = events.filter(({ isListed }) => !isListed);
      expect(unlisted).toHaveLength(1);
      expect(unlisted[0]?.status).toBeNull();
      expect(warnings).toContain(`status code "${unlisted[0]?.rawCode}" is not listed`);
    });

    test("the same answer read twice gives the same identities, all different", () => {
      for (const fixture of readFixtures(code).filter((f) => f.expected.outcome === "found")) {
        const once = readAnswer(adapter, fixture.response, fixture.subject).events;
        const twice = readAnswer(adapter, fixture.response, fixture.subject).events;
        expect(twice).toEqual(once);
        expect(new Set(once.map(({ identity }) => identity)).size).toBe(once.length);
      }
    });

    test("an answer that is not of the documented shape is malformed and says where", () => {
      const body = adapter.format === "xml" ? "<nothing/>" : "[]";
      const response = { status: 200, headers: {}, body, receivedAt: new Date() };
      const subject = { trackingNumber: "1234", carrierCode: code };
      expect(() => readAnswer(adapter, response, subject)).toThrow(
        expect.objectContaining({ outcome: "malformed", code: "WRONG_SHAPE" }),
      );
    });
  },
);

test("a bug in an adapter's reader is malformed, and its cause is kept", () => {
  const bug = new TypeError("undefined is not a function");
  const [adapter] = adapters;
  if (adapter === undefined) throw new Error("no adapter");
  const broken: CarrierAdapter = {
    ...adapter,
    parse() {
      throw bug;
    },
  };
  const [fixture] = readFixtures(adapter.code).filter((f) => f.situation === "delivered");
  if (fixture === undefined) throw new Error("no fixture delivered");
  expect(() => readAnswer(broken, fixture.response, fixture.subject)).toThrow(
    expect.objectContaining({ outcome: "malformed", code: "PARSE_BUG", cause: bug }),
  );
});
