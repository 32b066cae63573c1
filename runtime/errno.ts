/** Whether an error is the system's, with one of these codes (`ENOENT`, `EADDRINUSE`, …). */
export function hasErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? "");
}
