import { DrError } from "../errors.ts";

/**
 * Returns what `act` answers, or throws UNREACHABLE when that takes longer. It does not end what `act` has under way: that must
 * end by itself, or be of no consequence.
 */
export async function withTimeout<T>(
  ms: number,
  what: string,
  act: () => Promise<T>,
  hint = "check that it runs and can be reached from here",
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new DrError("UNREACHABLE", `${what} does not answer within ${ms / 1000} s`, { hint }));
    }, ms);
  });
  try {
    return await Promise.race([act(), late]);
  } finally {
    clearTimeout(timer);
  }
}
