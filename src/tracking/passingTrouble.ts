/** SQLSTATE classes 40, 53, 57 and 08, and a lost link: the same statement may do well in a moment. */
const PASSING = /^(40|53|57|08|ECONN|EPIPE|ETIMEDOUT)/;

/** Whether a database error is of those that pass: a deadlock, a restart, a lost link. */
export function isPassingTrouble(error: unknown): boolean {
  return PASSING.test(String((error as { code?: unknown } | null)?.code ?? ""));
}
