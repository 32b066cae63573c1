import { DrError } from "../errors.ts";

/**
 * Returns what `act` answers, or throws UNREACHABLE when that takes longer. Then the signal that `act` was given is aborted: what goes
 * on without heeding it must end by itself, or be of no consequence.
 */
export async function withTimeout<T>(
  ms: number,
  what: string,
  act: (signal: AbortSignal) => Promise<T>,
  hint = "check that it runs and can be reached from here",
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const end = new AbortController();
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new DrError("UNREACHABLE", `${what} does not answer within ${ms / 1000} s`, { hint });
      reject(error);
      end.abort(error);
    }, ms);
  });
  try {
    return await Promise.race([act(end.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
