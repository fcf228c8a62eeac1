import { z } from "zod";

/** What a `track_book` job carries: ids only. A new field stays optional until old jobs have drained. */
export const trackBookPayload = z.object({ parcelId: z.uuid() });
