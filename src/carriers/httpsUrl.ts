/** Longer ones are cut by mail programs. Chosen. */
const MAX_LENGTH = 2_000;

/** A page a carrier named, as a plain https address that may be shown as a link; anything else is null. */
export function httpsUrl(text: string | null | undefined): string | null {
  const url = URL.parse(text ?? "");
  if (url?.protocol !== "https:" || url.username || url.password) return null;
  return url.href.length <= MAX_LENGTH ? url.href : null;
}
