import { Readable } from "node:stream";
import { brotliCompressSync, constants, deflateSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { readBody } from "../../src/carriers/readBody.ts";

const TEXT = JSON.stringify({ text: "book ".repeat(1_000) });

test.each([
  ["gzip", gzipSync(TEXT)],
  ["x-gzip", gzipSync(TEXT)],
  ["br", brotliCompressSync(TEXT)],
  ["deflate", deflateSync(TEXT)],
  ["GZIP", gzipSync(TEXT)],
  ["identity", Buffer.from(TEXT)],
  [undefined, Buffer.from(TEXT)],
])("a body in %s is read whole", async (encoding, bytes) => {
  const read = await readBody(Readable.from([bytes]), encoding, 1_000_000);
  expect(read.problem).toBeNull();
  expect(read.bytes.toString()).toBe(TEXT);
});

test("an endless body is read up to the limit and no further", async () => {
  let pulled = 0;
  const endless = Readable.from(
    (function* () {
      for (;;) {
        pulled += 1_024;
        yield Buffer.alloc(1_024, " ");
      }
    })(),
    { objectMode: false, highWaterMark: 1_024 },
  );
  const read = await readBody(endless, undefined, 100_000);
  expect(read.problem).toMatchObject({ outcome: "malformed", code: "TOO_LARGE" });
  expect(read.bytes.length).toBeLessThanOrEqual(100_000);
  // What was pulled past the limit sits in one buffer.
  expect(pulled).toBeLessThan(110_000);
  expect(endless.destroyed).toBe(true);
});

/** A megabyte of spaces in about a kilobyte; gzip lets such pieces stand in a row. */
const GZIP_PIECE = gzipSync(Buffer.alloc(1024 * 1024, " "), { level: 9 });

test("a gigabyte behind a megabyte of gzip is opened up to the limit and no further", async () => {
  let given = 0;
  const wire = Readable.from(
    (function* () {
      for (let i = 0; i < 1_024; i++) {
        given += 1;
        yield GZIP_PIECE;
      }
    })(),
  );
  const read = await readBody(wire, "gzip", 1_500_000);
  expect(read.problem).toMatchObject({ outcome: "malformed", code: "TOO_LARGE" });
  expect(read.bytes.length).toBeLessThanOrEqual(1_500_000);
  // Two would do; the others sat in the streams' buffers, still compressed.
  expect(given).toBeLessThan(200);
});

test("a brotli bomb is opened up to the limit and no further", async () => {
  const bomb = brotliCompressSync(Buffer.alloc(64 * 1024 * 1024), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 5 },
  });
  expect(bomb.length).toBeLessThan(10_000);
  const read = await readBody(Readable.from([bomb]), "br", 1_000_000);
  expect(read.problem).toMatchObject({ outcome: "malformed", code: "TOO_LARGE" });
  expect(read.bytes.length).toBeLessThanOrEqual(1_000_000);
});

test("a compressed body cut short is a truncated answer, and what came is kept", async () => {
  const whole = gzipSync(TEXT);
  const read = await readBody(Readable.from([whole.subarray(0, -9)]), "gzip", 1_000_000);
  expect(read.problem).toMatchObject({ code: "Z_BUF_ERROR" });
  expect(TEXT.startsWith(read.bytes.toString())).toBe(true);
});

test.each(["gzip, br", "compress", "constructor"])(
  "%s is an encoding we do not know",
  async (encoding) => {
    const read = await readBody(Readable.from([Buffer.from("x")]), encoding, 1_000);
    expect(read.problem).toMatchObject({ outcome: "malformed", code: "UNKNOWN_ENCODING" });
  },
);
