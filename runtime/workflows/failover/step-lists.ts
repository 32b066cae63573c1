/** The steps of each role change, in their order. */
import { bringLastWrites } from "./steps/bring-last-writes.ts";
import { claimEpochStep } from "./steps/claim-epoch.ts";
import { compareRegions } from "./steps/compare-regions.ts";
import { drain } from "./steps/drain.ts";
import { endLeaseStep } from "./steps/end-lease.ts";
import { fence } from "./steps/fence.ts";
import { follow } from "./steps/follow.ts";
import { keepDivergenceStep } from "./steps/keep-divergence.ts";
import { moveTraffic } from "./steps/move-traffic.ts";
import { openGate } from "./steps/open-gate.ts";
import { promote } from "./steps/promote.ts";
import { restore } from "./steps/restore.ts";
import { restoreFoldersStep } from "./steps/restore-folders.ts";
import type { Step, StepContext, SwitchoverContext } from "./steps/step.ts";
import { stepDown } from "./steps/step-down.ts";
import { verify } from "./steps/verify.ts";

interface SwitchoverSteps {
  /** The active region serves. */
  readonly serving: readonly Step<SwitchoverContext>[];
  /** No region takes writes. Until the epoch is claimed the switchover can be aborted, and the region that was active serves again. */
  readonly fenced: readonly Step<SwitchoverContext>[];
  /** There is no way back but another switchover. */
  readonly claimed: readonly Step<StepContext>[];
}

export const switchoverSteps: SwitchoverSteps = {
  serving: [keepDivergenceStep, follow],
  fenced: [fence, drain, bringLastWrites, compareRegions, claimEpochStep],
  claimed: [restore, verify, openGate, moveTraffic, promote, stepDown],
};

/** A run that resumes what another began does them, too: they find out what is left. */
export const failoverSteps: readonly Step<StepContext>[] = [
  claimEpochStep,
  endLeaseStep,
  restore,
  verify,
  openGate,
  moveTraffic,
  restoreFoldersStep,
  promote,
  stepDown,
];
