// Postgres's manual, "Message Formats": StartupMessage is a length, 196608 (protocol 3.0), then pairs of
// zero-ended strings; a client that wants TLS or GSS asks for it first, in eight bytes.
const PROTOCOL_3 = 3;
const ENCRYPTION_REQUESTS = new Set([80877103, 80877104]);

/**
 * Reads the application_name off what a client of Postgres sends first, in
 * chunks of any size. Answers undefined until it is known, then the name; null
 * for a client that gives none or speaks something else.
 */
export function createNameReader(): (bytes: Buffer) => string | null | undefined {
  let start = Buffer.alloc(0);
  let name: string | null | undefined;
  return (bytes) => {
    if (name !== undefined) return name;
    start = Buffer.concat([start, bytes]);
    if (start.length >= 8 && ENCRYPTION_REQUESTS.has(start.readInt32BE(4)))
      start = start.subarray(8);
    if (start.length < 8) return undefined;
    if (start.readInt16BE(4) !== PROTOCOL_3) name = null;
    else if (start.length >= start.readInt32BE(0)) {
      const words = start.subarray(8, start.readInt32BE(0)).toString().split("\0");
      const at = words.findIndex((word, i) => i % 2 === 0 && word === "application_name");
      name = (at >= 0 && words[at + 1]) || null;
    }
    return name;
  };
}
