import type { SCAN_STAGES, Step } from "./scenario.ts";
import type { Wire } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → [code, label]. There is no code for a cancelled parcel, and none that tells nothing but ID0. */
const SCANS: Readonly<Record<Stage, readonly [string, string]>> = {
  pre_transit: ["DR1", "Your parcel is about to be handed to us."],
  in_transit: ["ET1", "Your parcel is on its way."],
  out_for_delivery: ["MD2", "Your parcel will be delivered today."],
  available_for_pickup: ["AG1", "Your parcel waits for you at the counter."],
  delivered: ["DI1", "Your parcel has been delivered."],
  exception: ["ND1", "Your parcel could not be delivered."],
  return_to_sender: ["RE1", "Your parcel goes back to its sender."],
  cancelled: ["ID0", "Your parcel has been cancelled."],
  no_change: ["ID0", "A photo of your parcel was taken."],
  unlisted: ["ZZ9", "A scan from the future."],
};

/** What the gateway before the service says in its own form. */
const GATEWAY: Readonly<Record<number, string>> = {
  429: "TOO_MANY_REQUESTS",
  503: "SERVICE_UNAVAILABLE",
};

const LOOKUP = /^\/la_poste\/idships\/([^/]+)$/;

/** La Poste Suivi v2. */
export const la_poste: Wire = {
  api: "la_poste",
  basePath: "/la_poste",
  credentials: { API_KEY: "sandbox-la-poste-key" },
  route({ method, url }) {
    const [, number] = LOOKUP.exec(url.pathname) ?? [];
    if (method !== "GET" || number === undefined) return null;
    return { kind: "lookup", number: decodeURIComponent(number) };
  },
  answer({ headers, url }, { number, show }) {
    if (headers["x-okapi-key"] !== la_poste.credentials.API_KEY) return la_poste.error(401);
    if (!number || url.searchParams.get("lang") !== "en_GB") return la_poste.error(400);
    const parcel = show(number);
    if (parcel === null) return la_poste.error(404);
    const { steps, estimatedDelivery } = parcel;
    return {
      status: 200,
      body: {
        lang: "en_GB",
        scope: "open",
        returnCode: 200,
        shipment: {
          idShip: number,
          holder: 4,
          product: "Colissimo",
          isFinal: steps.at(-1)?.stage === "delivered",
          ...(estimatedDelivery ? { estimDate: `${estimatedDelivery}T00:00:00+01:00` } : {}),
          timeline: [],
          event: steps.map((step, i) => eventOf(step, i + 1)).toReversed(),
          contextData: { originCountry: "FR", arrivalCountry: "FR" },
          url: `https://www.laposte.fr/outils/suivre-vos-envois?code=${number}`,
        },
      },
    };
  },
  error(status) {
    const code = GATEWAY[status];
    const message = "The sandbox says so.";
    if (code !== undefined) return { status, body: { code, message } };
    const body = { returnCode: status, returnMessage: message, lang: "en_GB", scope: "open" };
    return { status, body };
  },
};

function eventOf({ stage, at, text }: Step, order: number) {
  const [code, label] = SCANS[stage];
  return { order, code, label: text ?? label, date: at };
}
