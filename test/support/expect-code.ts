import { DrError, type ErrorCode } from "../../runtime/errors.ts";

/** The code that a promise is refused with; `undefined` when it is kept. Anything but a DrError is thrown on. */
export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | undefined> {
  return (await errorOf(promise))?.code;
}

export async function errorOf(promise: Promise<unknown>): Promise<DrError | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof DrError) return error;
    throw error;
  }
}
