/** Whether `error` carries one of these codes: Node's (`ENOENT`), or an SQLSTATE where Postgres raised it. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
