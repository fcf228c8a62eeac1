import type { SCAN_STAGES, Step, VisibleParcel } from "./scenario.ts";
import type { Wire } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → the status's name, which is also the scan's text. There is none for a return: it cannot be delivered. */
const STATUSES: Readonly<Record<Stage, string>> = {
  pre_transit: "Created",
  in_transit: "In transit",
  out_for_delivery: "On Board for Delivery",
  available_for_pickup: "Awaiting collection",
  delivered: "Delivered",
  exception: "Unsuccessful Delivery",
  return_to_sender: "Cannot be delivered",
  cancelled: "Cancelled",
  no_change: "Shipping information approved by Australia Post",
  unlisted: "A scan from the future",
};

const TOO_MANY = 10;

/** StarTrack's consignments, as this sandbox tells them: three letters Z and digits. */
const isStarTrack = (number: string) => /^ZZZ\d/.test(number);

/** Australia Post Shipping and Tracking. Up to ten numbers a request, of Australia Post or of StarTrack. */
export const australia_post: Wire = {
  api: "australia_post",
  basePath: "/shipping/v1",
  credentials: {
    API_KEY: "sandbox-ap-key",
    API_PASSWORD: "sandbox-ap-password",
    ACCOUNT_NUMBER: "0001234567",
  },
  route({ method, url }) {
    if (method !== "GET" || url.pathname !== "/shipping/v1/track") return null;
    const numbers = (url.searchParams.get("tracking_ids") ?? "").split(",").filter(Boolean);
    return { kind: "lookup", number: numbers[0] ?? null, numbers };
  },
  answer({ headers }, { numbers, show }) {
    const { API_KEY, API_PASSWORD, ACCOUNT_NUMBER } = australia_post.credentials;
    const basic = Buffer.from(`${API_KEY}:${API_PASSWORD}`).toString("base64");
    if (headers.authorization !== `Basic ${basic}`) return australia_post.error(401);
    if (headers["account-number"] !== ACCOUNT_NUMBER) return australia_post.error(403);
    if (numbers.length === 0) return refusal("51100", "TRACKING_IDS_MISSING");
    if (numbers.length > TOO_MANY) return refusal("51101", "TOO_MANY_AP_TRACKING_IDS");
    if (new Set(numbers.map(isStarTrack)).size > 1)
      return refusal("51103", "TRACKING_IDS_MIX_OF_AP_AND_ST");
    return {
      status: 200,
      body: { tracking_results: numbers.map((number) => resultOf(number, show(number))) },
    };
  },
  error: (status) => ({
    status,
    body: {
      errors: [
        status === 429
          ? { message: "Too many requests", error_code: "API_002", error_name: "Too many requests" }
          : { message: "Error", error_code: `API_${status}`, error_name: "Error" },
      ],
    },
  }),
};

function refusal(code: string, name: string) {
  return { status: 400, body: { errors: [{ code, name, message: "The sandbox says so." }] } };
}

function resultOf(number: string, parcel: VisibleParcel | null) {
  if (parcel === null)
    return { tracking_id: number, errors: [{ code: "ESB-10001", name: "Invalid tracking ID" }] };
  const last = parcel.steps.findLast(({ stage }) => stage !== "no_change");
  const status = last && STATUSES[last.stage];
  const events = parcel.steps.toReversed().map(eventOf);
  const article = { product_type: "eParcel", events, status };
  if (isStarTrack(number))
    return {
      tracking_id: number,
      consignment: { events, status },
      trackable_items: [{ article_id: `${number}FPP00001`, consignment_id: number, ...article }],
    };
  return { tracking_id: number, status, trackable_items: [{ article_id: number, ...article }] };
}

function eventOf({ stage, at, text, city, region }: Step) {
  return {
    location: [city, region].filter(Boolean).join(" ") || undefined,
    // The text is all there is: other words would say another thing.
    description: stage === "no_change" ? (text ?? STATUSES[stage]) : STATUSES[stage],
    date: at,
  };
}
