import { expect, test } from "vitest";
import { evidenceOf } from "../../src/carriers/evidence.ts";
import { Secret } from "../../src/secret.ts";

test("a body is kept as it is where it is short and clean", () => {
  expect(evidenceOf('{"status":"zugestellt – Köln"}', [])).toBe('{"status":"zugestellt – Köln"}');
});

test("NUL and half characters never reach the database", () => {
  expect(evidenceOf("a\0b\ud83d", [])).toBe("a\ufffdb\ufffd");
});

test("at most 64 KB are kept, whole characters only", () => {
  for (const character of ["x", "ü", "€", "📚", "\0"]) {
    const kept = evidenceOf(`a${character.repeat(70_000)}`, []);
    expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(65_536);
    expect(Buffer.byteLength(kept)).toBeGreaterThan(65_536 - 4);
    expect(kept.isWellFormed()).toBe(true);
  }
});

test("a credential the carrier echoes is struck out", () => {
  const secrets = [new Secret("canary-key-123"), new Secret("ok")];
  expect(evidenceOf("key canary-key-123 is ok", secrets)).toBe("key [redacted] is ok");
});
