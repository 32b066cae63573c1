/** Stable, for programs: operators hang hooks on them, and records are named after them. */
export const stepNames = [
  "divergence",
  "follow",
  "fence",
  "drain",
  "last-writes",
  "compare",
  "epoch",
  "lease",
  "restore",
  "verify",
  "open",
  "traffic",
  "folders",
  "promote",
  "step-down",
] as const;
export type StepName = (typeof stepNames)[number];
