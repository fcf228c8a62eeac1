/** At most `length` UTF-16 units of a text, with "..." where something was cut; never half a character. */
export function shorten(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.slice(0, Math.max(0, length - 3));
  return `${(cut.isWellFormed() ? cut : cut.slice(0, -1)).trimEnd()}...`;
}
