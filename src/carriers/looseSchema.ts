import { z } from "zod";

/**
 * Building blocks for reply schemas. Carriers leave fields out, send null for
 * nothing and numbers where a text is documented; none of that is a reason to
 * lose an answer. A list where a text belongs still is.
 */

/** A text, or a number read as one; missing and null become undefined. */
export const looseText = z
  .union([z.string(), z.number()])
  .nullish()
  .transform((value) => (value === null || value === undefined ? undefined : String(value)));

/** true and "true"; anything else but a list or an object is false. */
export const looseFlag = z
  .union([z.string(), z.number(), z.boolean()])
  .nullish()
  .transform((value) => String(value).toLowerCase() === "true");

/** A list; missing and null become an empty one. */
export function looseList<T extends z.ZodType>(element: T) {
  return z
    .array(element)
    .nullish()
    .transform((value) => value ?? []);
}

/** An object with some fields we read, others ignored; missing and null become undefined. */
export function looseObject<T extends z.ZodRawShape>(shape: T) {
  return z
    .object(shape)
    .nullish()
    .transform((value) => value ?? undefined);
}
