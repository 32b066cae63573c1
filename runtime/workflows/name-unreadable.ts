import type { Progress } from "../ports/progress.ts";
import type { ReportUnreadable } from "../repository/record.ts";

/** Reports each record that a run cannot read and therefore ignores. */
export function unreadableReporter(progress: Progress): ReportUnreadable {
  return (key) =>
    progress({ step: "ignore", detail: `${key} cannot be read: it was damaged, or is of a newer version` });
}
