import type { Progress } from "../ports/progress.ts";
import type { TellUnreadable } from "../repository/record.ts";

/** Names to whoever follows the run what it meets and does not obey. */
export function nameUnreadable(progress: Progress): TellUnreadable {
  return (key) =>
    progress({ step: "ignore", detail: `${key} cannot be read: it was damaged, or is of a newer version` });
}
