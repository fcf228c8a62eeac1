import type { SCAN_STAGES, Step } from "./scenario.ts";
import type { Wire } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/**
 * stage → [event-identifier, event-description]. A return is an exception whose
 * text says so. There is no code for a label alone or a cancelled item: the
 * nearest are the first sorting and one that tells no stage.
 */
const SCANS: Readonly<Record<Stage, readonly [string, string]>> = {
  pre_transit: ["0100", "Item processed"],
  in_transit: ["0100", "Item processed"],
  out_for_delivery: ["0174", "Item out for delivery"],
  available_for_pickup: ["1479", "Notice card left indicating where item can be picked up"],
  delivered: ["1496", "Item successfully delivered"],
  exception: ["0173", "Customer addressing error found; attempting to correct. Possible delay"],
  return_to_sender: ["0150", "Recipient not located; Item being returned to sender"],
  cancelled: ["20", "Signature image recorded for Online viewing"],
  no_change: ["20", "Signature image recorded for Online viewing"],
  unlisted: ["9876", "A scan from the future"],
};

/** HTTP status → [code, description]. */
const ERRORS: Readonly<Record<number, readonly [string, string]>> = {
  401: ["E002", "AAA Authentication Failure"],
  404: ["004", "No Pin History"],
  429: ["Server", "Rejected by SLM Monitor"],
};

const LOOKUP = /^\/canada_post\/vis\/track\/pin\/([^/]+)\/details$/;

/** Eastern standard time, in which this sandbox tells every scan. */
const EST_OFFSET_MS = -5 * 3_600_000;

/** Canada Post's tracking service, XML over REST. */
export const canada_post: Wire = {
  api: "canada_post",
  basePath: "/canada_post",
  credentials: { API_USER: "sandbox-cp-user", API_PASSWORD: "sandbox-cp-password" },
  route({ method, url }) {
    const [, number] = LOOKUP.exec(url.pathname) ?? [];
    if (method !== "GET" || number === undefined) return null;
    return { kind: "lookup", number: decodeURIComponent(number) };
  },
  answer({ headers }, { number, show }) {
    const { API_USER, API_PASSWORD } = canada_post.credentials;
    const basic = Buffer.from(`${API_USER}:${API_PASSWORD}`).toString("base64");
    if (headers.authorization !== `Basic ${basic}`) return canada_post.error(401);
    if (!/^application\/vnd\.cpc\.track(-v2)?\+xml$/.test(headers.accept ?? ""))
      return canada_post.error(406);
    const parcel = show(number ?? "");
    if (parcel === null) return canada_post.error(404);
    const isDelivered = parcel.steps.at(-1)?.stage === "delivered";
    const signer = isDelivered ? parcel.signedBy : undefined;
    const occurrences = parcel.steps
      .toReversed()
      .map((step, i) => occurrence(step, i === 0 ? signer : undefined));
    return xml(
      200,
      "tracking-detail",
      element("pin", number) +
        element("expected-delivery-date", parcel.estimatedDelivery) +
        `<significant-events>${occurrences.join("")}</significant-events>`,
    );
  },
  error(status) {
    const [code, description] = ERRORS[status] ?? ["Server", "Internal Error"];
    const message = element("code", code) + element("description", description);
    return xml(status, "messages", `<message>${message}</message>`);
  },
};

function occurrence(step: Step, signer: string | undefined): string {
  const { stage, at, text, city, region } = step;
  const [code, description] = SCANS[stage];
  const hasOffset = at.length > 19;
  const local = hasOffset
    ? new Date(Date.parse(at) + EST_OFFSET_MS).toISOString().slice(0, 19)
    : at;
  const children =
    element("event-identifier", code) +
    element("event-date", local.slice(0, 10)) +
    element("event-time", local.slice(11)) +
    element("event-time-zone", hasOffset ? "EST" : "") +
    // Only its own words say that an item goes back.
    element(
      "event-description",
      stage === "return_to_sender" ? description : (text ?? description),
    ) +
    element("signatory-name", signer) +
    element("event-site", city) +
    element("event-province", region);
  return `<occurrence>${children}</occurrence>`;
}

function xml(status: number, root: string, children: string) {
  const namespace = root === "messages" ? "messages" : "track";
  return {
    status,
    headers: { "content-type": "application/vnd.cpc.track+xml" },
    body: `<?xml version="1.0" encoding="UTF-8"?><${root} xmlns="http://www.canadapost.ca/ws/${namespace}">${children}</${root}>`,
  };
}

function element(name: string, text: string | null | undefined): string {
  const escaped = (text ?? "").replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<${name}>${escaped}</${name}>`;
}
