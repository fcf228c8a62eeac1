/**
 * "8:30", "08:30:00", "8:30 am", "12:05 PM" → "08:30:00", …; null where it is no
 * real time of day. Fractions of a second are dropped.
 */
export function timeOfDay(text: string | null | undefined): string | null {
  const [, hours, minute, second = "00", half] =
    /^(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?\s*([ap])?\.?(?:m\.?)?$/i.exec(
      text?.trim() ?? "",
    ) ?? [];
  if (!hours || !minute) return null;
  const hour = half === undefined ? Number(hours) : hourOfHalf(Number(hours), half.toLowerCase());
  if (hour === null || hour > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  return `${String(hour).padStart(2, "0")}:${minute}:${second}`;
}

/** Noon is 12 pm, midnight 12 am; 13 pm is nobody's hour. */
function hourOfHalf(hour: number, half: string): number | null {
  if (hour < 1 || hour > 12) return null;
  return (hour % 12) + (half === "p" ? 12 : 0);
}
