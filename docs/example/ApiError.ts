/** What the API said instead of data. `message` is a sentence for a person; decide by `code`. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** Such as BAD_INPUT, NOT_FOUND, CONFLICT, RATE_LIMITED; HTTP_502 where something before the API answered. */
  readonly code: string;
  /** The input's field that is wrong, where one is to blame. */
  readonly field: string | null;

  constructor(
    message: string,
    details: { readonly code?: string | undefined; readonly field?: string | undefined },
  ) {
    super(message);
    this.code = details.code ?? "UNKNOWN";
    this.field = details.field ?? null;
  }
}
