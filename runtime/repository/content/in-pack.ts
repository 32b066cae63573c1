import { DrError, hasCode } from "../../errors.ts";

/** Says in which object the damage is: that is what can be brought again from the other region's bucket. */
export async function inPack<T>(pack: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!hasCode(error, "OBJECT_CORRUPT")) throw error;
    throw new DrError("OBJECT_CORRUPT", `pack ${pack} is damaged: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}
