import { z } from "zod";
import { UsageError } from "./errors.ts";
import { Secret } from "./secret.ts";

/**
 * One variable of the environment, checked. An empty one counts as not set.
 * `describe` on the schema is the way out, as a reader sees it.
 * @param options.isSecret its value is not printed
 * @throws UsageError naming the variable, and what it should be.
 */
export function readVariable<T>(
  env: NodeJS.ProcessEnv,
  name: string,
  schema: z.ZodType<T>,
  options: { readonly isSecret?: boolean } = {},
): T {
  const text = env[name] === "" ? undefined : env[name];
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  const value = options.isSecret ? "its value" : `"${text}"`;
  throw new UsageError(
    "BAD_ENVIRONMENT",
    `${name} must be ${describe(schema)}; ${value} is not. Set it in the environment or in .env, or leave it out.`,
  );
}

export function toSecret(text: string | undefined): Secret | null {
  return text === undefined ? null : new Secret(text);
}

/** zod keeps a description on the schema it was put on; `.optional()` and `.default()` wrap that one. */
function describe(schema: z.ZodType): string {
  if (schema.description) return schema.description;
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault)
    return describe(schema.unwrap() as z.ZodType);
  return "valid";
}
