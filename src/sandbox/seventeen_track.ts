import type { SCAN_STAGES, Step, VisibleParcel } from "./scenario.ts";
import { utcText } from "./utcText.ts";
import type { Wire } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → [sub_status, description]; the main status is what stands before the underscore. */
const SCANS: Readonly<Record<Stage, readonly [string, string]>> = {
  pre_transit: ["InfoReceived", "Order information received"],
  in_transit: ["InTransit_Other", "Departed from facility"],
  out_for_delivery: ["OutForDelivery_Other", "Out for delivery"],
  available_for_pickup: ["AvailableForPickup_Other", "Ready for collection"],
  delivered: ["Delivered_Other", "Delivered"],
  exception: ["DeliveryFailure_NoBody", "Nobody was at home"],
  return_to_sender: ["Exception_Returning", "Returning to sender"],
  cancelled: ["Exception_Cancel", "Order cancelled"],
  no_change: ["NotFound_Other", "An update without a stage"],
  unlisted: ["Teleported_Other", "A scan from the future"],
};

const BASE = "/seventeen_track";

const KINDS: ReadonlyMap<string, "lookup" | "register"> = new Map([
  [`${BASE}/gettrackinfo`, "lookup"],
  [`${BASE}/register`, "register"],
]);

const MOST_NUMBERS = 40;

/** 17TRACK v2.2, an aggregator that knows only what it was told of; up to 40 numbers at once. */
export const seventeen_track: Wire = {
  api: "seventeen_track",
  basePath: BASE,
  credentials: { API_KEY: "sandbox-17track-key" },
  route({ method, url, body }) {
    const kind = KINDS.get(url.pathname);
    if (method !== "POST" || kind === undefined) return null;
    const numbers = itemsIn(body).map((item) => item.number);
    return { kind, number: numbers[0] ?? null, numbers };
  },
  answer({ headers, url, body }, { numbers, show, registered }) {
    if (headers["17token"] !== seventeen_track.credentials.API_KEY)
      return seventeen_track.error(401);
    if (numbers.length === 0) return envelope(-18010013);
    if (numbers.length > MOST_NUMBERS) return envelope(-18010014);
    const isRegistering = url.pathname.endsWith("/register");
    const accepted: object[] = [];
    const rejected: object[] = [];
    for (const { number, carrier } of itemsIn(body)) {
      const name = `seventeen_track ${number}`;
      const parcel = show(number);
      const isKnown = parcel !== null || registered.has(name);
      const turnAway = (code: number) =>
        rejected.push({ number, carrier, error: { code, message: "The sandbox says so." } });
      if (isRegistering && isKnown) turnAway(-18019901);
      else if (isRegistering) {
        registered.add(name);
        accepted.push({ number, carrier, origin: 1 });
      } else if (isKnown) accepted.push({ number, carrier, track_info: infoOf(parcel) });
      else turnAway(-18019902);
    }
    return envelope(0, { accepted, rejected });
  },
  // 17TRACK documents a code only for a refusal of who we are.
  error: (status) =>
    status === 401
      ? envelope(-18010002, {}, status)
      : { status, headers: { "content-type": "text/plain" }, body: "The sandbox says so." },
};

function envelope(code: number, data: object = {}, status = 200) {
  return { status, body: { code, data } };
}

interface Item {
  readonly number: string;
  readonly carrier: number;
}

/** The items of a request; none where it is not a list of them. */
function itemsIn(body: string): readonly Item[] {
  try {
    const items: unknown = JSON.parse(body);
    return Array.isArray(items) ? items : [];
  } catch {
    return [];
  }
}

function infoOf(parcel: VisibleParcel | null) {
  const events = (parcel?.steps ?? []).toReversed().map(eventOf);
  const [newest] = events;
  const subStatus = newest?.sub_status ?? "NotFound_Other";
  const estimate = parcel?.estimatedDelivery;
  return {
    latest_status: { status: subStatus.split("_")[0], sub_status: subStatus },
    latest_event: newest ?? null,
    time_metrics: {
      estimated_delivery_date: {
        source: estimate ? "Official" : null,
        from: estimate ? `${estimate}T00:00:00Z` : null,
        to: estimate ? `${estimate}T00:00:00Z` : null,
      },
    },
    tracking: { providers: [{ provider: { key: 0, name: "Sandbox" }, events }] },
  };
}

function eventOf({ stage, at, text, city, region, country }: Step) {
  const [subStatus, description] = SCANS[stage];
  const hasZone = at.length > 19;
  return {
    time_iso: at,
    time_utc: hasZone ? utcText(at) : null,
    description: text ?? description,
    location: [city, region].filter(Boolean).join(", ") || null,
    stage: null,
    sub_status: subStatus,
    address: { country: country ?? null, state: region ?? null, city: city ?? null },
  };
}
