import { Command } from "commander";
import { AGGREGATORS } from "../../carriers/aggregators.ts";
import type {
  CarrierAdapter,
  LookupResult,
  Tracking,
  TrackingEvent,
} from "../../carriers/carrier.ts";
import { foldStatus, orderEvents } from "../../carriers/foldStatus.ts";
import { adapterFor, adapters } from "../../carriers/registry.ts";
import { UsageError } from "../../errors.ts";
import { acceptNumber } from "../../input/trackingNumber.ts";
import { carrierEstimate, carrierTime } from "../carrierTime.ts";
import type { CliContext } from "../context.ts";
import { type EventJson, eventTable } from "../eventTable.ts";
import { labels } from "../labels.ts";
import { oneLine } from "../oneLine.ts";
import { words } from "../words.ts";

interface LookupJson {
  readonly outcome: string;
  readonly status: string | null;
  readonly rawStatus: string | null;
  readonly rawText: string | null;
  readonly events: readonly EventJson[];
  readonly estimatedDelivery: { from: string; until: string; timeZone: string | null } | null;
  readonly deliveredAt: string | null;
  readonly deliveredLocalTime: string | null;
  readonly deliveredTimeZone: string | null;
  readonly signedBy: string | null;
  readonly trackingUrl: string | null;
  readonly error: { code: string; message: string } | null;
  readonly warnings: readonly string[];
}

export function lookupCommand(context: CliContext): Command {
  return new Command("lookup")
    .description("ask a carrier about a number, without the database; nothing is kept")
    .argument("<api>", `whose API is asked: ${adapters.map((a) => a.code).join(", ")}`)
    .argument("<number>", "the tracking number")
    .option("--carrier <code>", "who carries it, where the API answers for many carriers")
    .option("--force", "insist on a number that does not look like one of this carrier")
    .action(async (api: string, text: string, given: { carrier?: string; force?: boolean }) => {
      const adapter = adapterFor(api);
      const configured = context.config().carriers.get(api);
      if (adapter === null || configured === undefined)
        throw new UsageError(
          "UNKNOWN_CARRIER",
          `No API of a carrier "${api}" can be asked; there are ${adapters.map((a) => a.code).join(", ")}.`,
        );
      const carrierCode = chooseCarrier(adapter, given.carrier);
      if (configured.credentials === null)
        throw new UsageError(
          "NOT_CONFIGURED",
          `${adapter.name} cannot be asked without credentials: set ${configured.missing.join(" and ")} in the environment or in .env.`,
        );
      const { number, doubt } = acceptNumber(carrierCode, text, { insist: given.force });

      // Loaded here: the other commands do without its HTTP client.
      const { createCarrierClient } = await import("../../carriers/client.ts");
      const { credentials, baseUrl } = configured;
      const client = createCarrierClient(adapter, { credentials, baseUrl });
      const result = await client.lookUp(number, { carrierCode }).finally(() => client.close());

      const json = toJson(result, doubt === null ? [] : [doubt]);
      context.print({
        json,
        text: (width) =>
          result.kind === "found"
            ? foundText(`${adapter.name} ${number}`, json, width)
            : `${adapter.name} ${number}: ${words(json.outcome)}. ${oneLine(json.error?.message ?? "")}`,
      });
      for (const warning of json.warnings) context.remark(`Note: ${warning}`);
      if (json.outcome !== "found" && json.outcome !== "not_found") context.fail();
    });
}

/** Who carries it: the API's own carrier, or the one that was named to an aggregator. */
function chooseCarrier({ code, name }: CarrierAdapter, named: string | undefined): string {
  if (!AGGREGATORS.has(code)) {
    if (named === undefined || named === code) return code;
    throw new UsageError(
      "OTHER_CARRIER",
      `${name} answers for its own parcels only, not for "${named}": leave --carrier out.`,
    );
  }
  if (named !== undefined) return named;
  throw new UsageError(
    "NO_CARRIER",
    `${name} answers for many carriers: say who carries the parcel, such as --carrier usps; it is never guessed from the number.`,
  );
}

function toJson(result: LookupResult, doubts: readonly string[]): LookupJson {
  if (result.kind === "failed") {
    const { outcome, code, message } = result.error;
    return { outcome, ...NOTHING, error: { code, message }, warnings: doubts };
  }
  return { ...trackingJson(result.tracking), warnings: [...doubts, ...result.tracking.warnings] };
}

const NOTHING: Omit<LookupJson, "outcome" | "error"> = {
  status: null,
  rawStatus: null,
  rawText: null,
  events: [],
  estimatedDelivery: null,
  deliveredAt: null,
  deliveredLocalTime: null,
  deliveredTimeZone: null,
  signedBy: null,
  trackingUrl: null,
  warnings: [],
};

function trackingJson(tracking: Tracking): LookupJson {
  const { status, deliveredEvent } = foldStatus(tracking);
  const { estimate } = tracking;
  return {
    outcome: "found",
    status,
    rawStatus: tracking.rawStatus,
    rawText: tracking.rawText,
    events: orderEvents(tracking.events)
      .sort((a, b) => Date.parse(a.sortAt) - Date.parse(b.sortAt) || a.sortRank - b.sortRank)
      .map(({ event }) => eventJson(event)),
    estimatedDelivery: estimate && {
      from: estimate.from,
      until: estimate.until,
      timeZone: estimate.timeZone,
    },
    deliveredAt: deliveredEvent?.occurredAt ?? null,
    deliveredLocalTime: deliveredEvent?.localTime ?? null,
    deliveredTimeZone: deliveredEvent?.timeZone ?? null,
    signedBy: tracking.signedBy,
    trackingUrl: tracking.trackingUrl,
    error: null,
    warnings: [],
  };
}

function eventJson(event: TrackingEvent): EventJson {
  const { occurredAt, localTime, timeZone, status, rawCode, description, location } = event;
  return { occurredAt, localTime, timeZone, status, rawCode, description, location };
}

function foundText(title: string, json: LookupJson, width: number): string {
  return [
    title,
    labels([
      ["status", words(json.status ?? "unknown")],
      ["carrier says", json.rawText === null ? json.rawStatus : oneLine(json.rawText)],
      ["expected", json.estimatedDelivery && carrierEstimate(json.estimatedDelivery)],
      [
        "delivered",
        carrierTime({
          occurredAt: json.deliveredAt,
          localTime: json.deliveredLocalTime,
          timeZone: json.deliveredTimeZone,
        }),
      ],
      ["signed by", json.signedBy === null ? null : oneLine(json.signedBy)],
      ["page", json.trackingUrl],
    ]),
    "",
    eventTable(json.events, width),
  ].join("\n");
}
