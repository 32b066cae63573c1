import { hasCode } from "../errors.ts";

/**
 * What is read, or undefined when the object cannot be used: it is missing, damaged, not believed, or sealed with a key that is not here. A
 * store that does not answer is an error all the same.
 */
export async function whenReadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, "OBJECT_CORRUPT", "NOT_AUTHENTIC", "OBJECT_NOT_FOUND", "KEY_UNAVAILABLE")) return undefined;
    throw error;
  }
}
