import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as limits from "../../src/graphql/limits.ts";

const TEXT = await readFile(join(import.meta.dirname, "../../docs/api-access.md"), "utf8");

const { DOCUMENT, RATE_PER_MINUTE, STATEMENT_TIMEOUT_MS, TIMEOUT_MS } = limits;

/** Row of the table → its number. */
const NUMBERS: Readonly<Record<string, number>> = {
  "requests of one member in a minute": RATE_PER_MINUTE.member,
  "requests of one operator in a minute": RATE_PER_MINUTE.operator,
  "requests of visitors and bad tokens from one address in a minute": RATE_PER_MINUTE.visitor,
  "looks at public pages and ends of emails from one address in a minute": RATE_PER_MINUTE.page,
  "a mutation counts, for each of its fields, beside the request it is in": limits.MUTATION_POINTS,
  "an answer counts, for each 100,000 of its bytes, beside the request":
    limits.BYTES_PER_POINT / 1e5,
  "WebSockets of one address that have not said yet who they are":
    limits.WEBSOCKETS.unnamedPerAddress,
  "seconds in which nothing of an answer is taken": limits.IDLE_TIMEOUT_MS / 1_000,
  "bytes of a body": limits.MAX_BODY_BYTES,
  "seconds to send a request": limits.RECEIVE_TIMEOUT_MS / 1_000,
  sockets: limits.MAX_SOCKETS,
  "characters of a document": DOCUMENT.length,
  "words and signs of a document": DOCUMENT.tokens,
  "levels of fields": DOCUMENT.depth,
  "fields, fragments spread out": DOCUMENT.fields,
  aliases: DOCUMENT.aliases,
  directives: DOCUMENT.directives,
  "fields on the first level": DOCUMENT.rootFields,
  "values that the page sizes allow in all, each row counted as one more; a variable counts as the largest page":
    DOCUMENT.values,
  "rows of a page (`first`)": limits.MAX_PAGE_SIZE,
  "levels of lists and objects in variables": limits.VARIABLE_DEPTH,
  "milliseconds of planning": TIMEOUT_MS.planning,
  "milliseconds of one statement, as a visitor": STATEMENT_TIMEOUT_MS.bookpost_visitor,
  "milliseconds of one statement, as a member": STATEMENT_TIMEOUT_MS.bookpost_member,
  "milliseconds of one statement, as an operator": STATEMENT_TIMEOUT_MS.bookpost_operator,
  "milliseconds of a request, looked at between statements": TIMEOUT_MS.execution,
};

test("the table of limits has the numbers that the API keeps, and no other", () => {
  const table = TEXT.slice(
    TEXT.indexOf("## What is limited"),
    TEXT.indexOf("Requests are counted"),
  );
  const rows = [...table.matchAll(/^\| ([^|]+) \| ([\d,]+)(?: more)? \|/gm)].map(
    ([, what = "", number = ""]) => [what, Number(number.replaceAll(",", ""))],
  );
  expect(Object.fromEntries(rows)).toEqual(NUMBERS);
});

test("what is said of WebSockets is so", () => {
  const { perUser, subscriptions, atOnce } = limits.WEBSOCKETS;
  const text = TEXT.replaceAll("\n", " ");
  expect(text).toContain(`Of each subscription at most ${limits.CHANGE_HUB.waiting} events wait.`);
  expect(text).toContain(
    `at most ${perUser} WebSockets, each with ${subscriptions} subscriptions, and a process ${atOnce.toLocaleString("en")}.`,
  );
});

test("what is said of keys and clocks is so", () => {
  expect(TEXT).toContain(`${limits.TOKEN_CLOCK_SKEW_SECONDS} seconds of difference`);
  expect(TEXT).toContain(`kept for ${limits.JWKS.keptMs / 60_000} minutes`);
  expect(TEXT).toContain(`once in ${limits.JWKS.cooldownMs / 1_000} seconds at most`);
  expect(limits.KNOWN_USERS.keptMs).toBe(60_000);
});
