import { readdirSync, readFileSync } from "node:fs";
import { z } from "zod";
import type { CarrierResponse, LookupSubject } from "../../src/carriers/carrier.ts";

const fixtureSchema = z.strictObject({
  about: z.string(),
  number: z.string(),
  /** Who carries it, where the API answers for many. */
  carrier: z.string().optional(),
  reply: z.strictObject({
    status: z.int(),
    headers: z.record(z.string(), z.string()),
    body: z.unknown(),
  }),
  /** `outcome` "found" with the whole tracking, or the failure's outcome, code and instant to ask again. */
  expected: z.looseObject({ outcome: z.string() }),
});

export type Fixture = z.output<typeof fixtureSchema> & {
  readonly situation: string;
  readonly response: CarrierResponse;
  readonly subject: LookupSubject;
};

/** The instant at which every fixture's answer "came in"; waits are counted from it. */
const RECEIVED_AT = new Date("2025-09-01T12:00:00Z");

/** Replies of one carrier, written by us in the documented shape, each with what must be made of it. */
export function readFixtures(code: string): Fixture[] {
  const folder = new URL(`../fixtures/${code}/`, import.meta.url);
  return readdirSync(folder).map((file) => {
    const fixture = fixtureSchema.parse(JSON.parse(readFileSync(new URL(file, folder), "utf8")));
    const { status, headers, body } = fixture.reply;
    const { number: trackingNumber, carrier: carrierCode = code } = fixture;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return {
      ...fixture,
      situation: file.replace(/\.json$/, ""),
      subject: { trackingNumber, carrierCode },
      response: { status, headers, body: text, receivedAt: RECEIVED_AT },
    };
  });
}
