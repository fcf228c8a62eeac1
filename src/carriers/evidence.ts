import type { Secret } from "../secret.ts";

/** Enough for any answer we read; a history of a hundred scans is about 40 KB. Chosen. */
const MAX_EVIDENCE_BYTES = 64 * 1024;

/** Shorter texts are nobody's secret and would tear holes into the evidence. Chosen. */
const SHORTEST_SECRET = 8;

/**
 * A body as the database may keep it: well-formed, without NUL, at most 64 KB
 * of UTF-8, and with our own credentials struck out should the carrier have
 * echoed them.
 */
export function evidenceOf(body: string, secrets: readonly Secret[]): string {
  let text = body.slice(0, MAX_EVIDENCE_BYTES);
  for (const secret of secrets)
    if (secret.reveal().length >= SHORTEST_SECRET)
      text = text.replaceAll(secret.reveal(), "[redacted]");
  const bytes = Buffer.from(text.toWellFormed().replaceAll("\0", "\ufffd"));
  if (bytes.length <= MAX_EVIDENCE_BYTES) return bytes.toString();
  // Streaming mode leaves out a character that the cut has torn, instead of replacing it by a longer one.
  return new TextDecoder().decode(bytes.subarray(0, MAX_EVIDENCE_BYTES), { stream: true });
}
