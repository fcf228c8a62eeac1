import { z } from "zod";
import { looseText } from "./looseSchema.ts";

/**
 * What looseSchema.ts is to JSON, for answers read from XML: an element without
 * content comes as "", and a list of one as its only element.
 */

/** A text; an empty element is none. */
export const xmlText = z.preprocess((value) => (value === "" ? undefined : value), looseText);

/** An element with children; absent and empty become undefined. */
export function xmlObject<T extends z.ZodRawShape>(shape: T) {
  return z.preprocess((value) => (value === "" ? undefined : value), z.object(shape).optional());
}

/** An element that may come any number of times. */
export function xmlList<T extends z.ZodType>(element: T) {
  return z.preprocess(
    (value) => (value === undefined || value === "" ? [] : [value].flat()),
    z.array(element),
  );
}
