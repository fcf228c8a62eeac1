import { SafeError } from "postgraphile/grafast";
import { InputError } from "../../errors.ts";
import { brokenRule } from "../../input/refusals.ts";

/**
 * Passes on what `work` gives. An input that is refused, here or by a rule of
 * the database, becomes BAD_INPUT with the input's name (`field`) and which rule
 * it breaks (`reason`); other errors stay what they are, for maskError.
 */
export async function inApiWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const refused = error instanceof InputError ? error : brokenRule(error);
    if (refused === null) throw error;
    throw new SafeError(refused.message, {
      code: "BAD_INPUT",
      field: refused.input,
      reason: refused.code,
    });
  }
}
