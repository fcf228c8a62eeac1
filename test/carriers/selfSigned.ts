import { generateKeyPairSync, sign } from "node:crypto";

/** A certificate for "localhost" that nobody but itself vouches for, and its key: made anew, so that no key lies in the repository. */
export function selfSigned(): { readonly key: string; readonly cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(ECDSA_WITH_SHA256);
  const name = sequence(
    tagged(0x31, sequence(COMMON_NAME, tagged(0x0c, Buffer.from("localhost")))),
  );
  const content = sequence(
    tagged(0x02, Buffer.of(1)),
    algorithm,
    name,
    sequence(
      tagged(0x17, Buffer.from("200101000000Z")),
      tagged(0x17, Buffer.from("491231235959Z")),
    ),
    name,
    publicKey.export({ type: "spki", format: "der" }),
  );
  const signature = Buffer.concat([Buffer.of(0), sign("sha256", content, privateKey)]);
  const der = sequence(content, algorithm, tagged(0x03, signature));
  const text = der.toString("base64").replaceAll(/.{64}/g, "$&\n");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`,
  };
}

/** X.509 version 1 in DER: a tag, a length, the content (ITU-T X.690). */
function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

/** 1.2.840.10045.4.3.2 and 2.5.4.3. */
const ECDSA_WITH_SHA256 = tagged(0x06, Buffer.from("2a8648ce3d040302", "hex"));
const COMMON_NAME = tagged(0x06, Buffer.from("550403", "hex"));
