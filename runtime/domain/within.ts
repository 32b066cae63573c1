import { DrError } from "../errors.ts";

/**
 * What `act` answers, or UNREACHABLE when that takes longer. What it has under way is not ended: it must end by itself, or
 * be of no consequence.
 */
export async function within<T>(
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
