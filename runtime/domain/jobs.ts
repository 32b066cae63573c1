/** What of the product runs in a cluster, each with an account and rights of its own. */

export const jobs = [
  "capture",
  "copy",
  "verify",
  "test-restore",
  "replicate",
  "replicate-folders",
  "gate",
  "exporter",
] as const;
export type Job = (typeof jobs)[number];

/** Name of the job's objects, its ServiceAccount among them. */
export function objectNameOf(job: Job): string {
  return `qdrant-dr-${job}`;
}
