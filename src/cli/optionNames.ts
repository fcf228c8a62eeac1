/** What the command line calls an input that the API calls so. */
const OPTIONS: Readonly<Record<string, string>> = {
  declaredValue: "--value",
  declaredCurrency: "--currency",
  trackingUrl: "--url",
  ownerId: "--owner",
  insist: "--force",
  phoneNumber: "--phone",
  quietHours: "--quiet",
};

/** "title" → "--title", "sentOn" → "--sent-on", "phoneNumber" → "--phone". */
export function optionName(input: string): string {
  return (
    OPTIONS[input] ?? `--${input.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
  );
}
