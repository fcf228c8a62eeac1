/** "out_for_delivery" → "out for delivery": codes of ours read as words. */
export function words(code: string): string {
  return code.replaceAll("_", " ");
}
