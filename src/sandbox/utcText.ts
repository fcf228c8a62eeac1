/** A scripted time as an instant in UTC, "2025-08-26T15:44:34Z"; one without an offset is taken to be in UTC. */
export function utcText(at: string): string {
  const withZone = at.length === 19 ? `${at}Z` : at;
  return new Date(withZone).toISOString().replace(".000Z", "Z");
}
