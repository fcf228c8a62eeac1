/** The instant so many hours ago, to the second, as carriers write it. */
export function ago(hours: number): string {
  return `${new Date(Date.now() - hours * 3_600_000).toISOString().slice(0, 19)}Z`;
}
