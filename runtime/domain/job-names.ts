/** Names of the jobs of a region in a cluster: `jobs.ts` says what each does. */
export const jobs = [
  "capture",
  "copy",
  "verify",
  "test-restore",
  "replicate",
  "replicate-folders",
  "restore-folders",
  "prune",
  "prune-stream",
  "gate",
  "exporter",
] as const;
export type Job = (typeof jobs)[number];
