import type { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { Malformed } from "../errors.ts";

/** What was read, and what stopped it: null where the body came to its proper end. */
export interface ReadBody {
  readonly bytes: Buffer;
  readonly problem: unknown;
}

const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  br: createBrotliDecompress,
  deflate: createInflate,
};

/** What we ask for. `deflate` is understood too, but servers disagree on what it means. */
export const ACCEPT_ENCODING = "gzip, br";

/**
 * Reads a body to its end or to `maxBytes`, counted twice: on the wire and
 * after decompression, because a quarter of a megabyte of gzip can hold a
 * quarter of a gigabyte. Nothing is read past the limit. Never throws; what
 * came before a problem is kept, for evidence.
 */
export async function readBody(
  stream: Readable,
  encoding: string | undefined,
  maxBytes: number,
): Promise<ReadBody> {
  const chunks: Buffer[] = [];
  const keep = async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of upTo(maxBytes)(source)) chunks.push(chunk);
  };
  const name = encoding?.trim().toLowerCase() || "identity";
  const decoder = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined;
  let problem: unknown = null;
  try {
    if (decoder !== undefined) await pipeline(stream, upTo(maxBytes), decoder(), keep);
    else if (name === "identity") await pipeline(stream, keep);
    else {
      stream.on("error", () => {}).destroy();
      throw new Malformed("UNKNOWN_ENCODING", "The answer is compressed in a way we do not know.");
    }
  } catch (error) {
    problem = error;
  }
  return { bytes: Buffer.concat(chunks), problem };
}

/** Passes chunks on until they sum up to more than `maxBytes`, then throws. */
function upTo(maxBytes: number) {
  return async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let count = 0;
    for await (const chunk of source) {
      count += chunk.length;
      if (count > maxBytes)
        throw new Malformed("TOO_LARGE", `The answer is larger than ${maxBytes} bytes.`);
      yield chunk;
    }
  };
}
