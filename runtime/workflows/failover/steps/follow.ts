import { formatSeconds } from "../../../domain/format.ts";
import type { Step, SwitchoverContext } from "./step.ts";

/** A cycle that takes no longer leaves little for the pause. */
const shortCycleSeconds = 3;
/** Another cycle is worth while as long as each takes less than this share of the one before. */
const shorterBy = 0.7;

export const follow: Step<SwitchoverContext> = {
  name: "follow",
  title: "Bring this region up to date while clients are served",
  repeat: "always",
  async run({ replication }) {
    for (let before = Number.POSITIVE_INFINITY; ; ) {
      const { applySeconds, captureSeconds } = await replication.cycle("provisional");
      const seconds = captureSeconds + applySeconds;
      if (seconds <= shortCycleSeconds) return `a cycle takes ${formatSeconds(seconds)}`;
      if (seconds > before * shorterBy) {
        return `a cycle still takes ${formatSeconds(seconds)}: writes will pause for about as long`;
      }
      before = seconds;
    }
  },
};
