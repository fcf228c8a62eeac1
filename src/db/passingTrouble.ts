/**
 * SQLSTATE classes 08 (connection), 40 (deadlock), 53 (no room) and 57 (shut down), and a lost link: the same statement
 * may do well in a moment. 25006: the primary has become a standby, and the name will soon lead to the new one.
 */
const PASSING = /^(08|25006|40|53|57|ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN)/;

/** node-postgres has no codes for these. */
const WORDS =
  /^(Connection terminated|timeout exceeded when|Query read timeout|Client has encountered a connection error)/;

/** Whether a database error is of those that pass: a deadlock, a restart, a failover, a lost link. */
export function isPassingTrouble(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isPassingTrouble);
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return PASSING.test(String(code ?? "")) || (!code && WORDS.test(String(message ?? "")));
}
