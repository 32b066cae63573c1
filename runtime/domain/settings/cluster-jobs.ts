/** What of a settings file the manifests of its jobs are made from, and why some files have none. */
import { DrError } from "../../errors.ts";
import { foldersByKind } from "./folder-selection.ts";
import type { ClusterOfFile } from "./kubernetes-settings.ts";
import { isWithin } from "./primitives.ts";
import type { RegionSettings } from "./region-settings.ts";
import { readStoreLocation } from "./store-location.ts";

const settingOf = { config: "configuration", "user-data": "userData" } as const;

/**
 * The section `kubernetes` of a file whose region pods can run.
 * @param file its name, for messages.
 * @throws SETTING_INVALID naming everything that pods could not use.
 */
export function clusterOf(file: string, settings: RegionSettings): ClusterOfFile {
  const { kubernetes, peer, qdrant, store } = settings;
  const problems: string[] = [];
  if (kubernetes === undefined) problems.push("kubernetes: where the jobs run is wanted");
  if (peer !== undefined) {
    problems.push("peer: nothing: roles change what runs in a pair's clusters, which Pulumi declares");
  }
  const location = readStoreLocation(store);
  if ("kind" in location && location.kind === "file") problems.push("store: s3://…, which pods reach from every node");
  for (const url of qdrant.peers ?? [qdrant.url ?? ""]) {
    const host = URL.parse(url)?.hostname ?? "";
    if (/^(localhost|127\..*|\[::1\])$/.test(host)) {
      problems.push(`qdrant: a URL as pods reach it, which ${JSON.stringify(host)} is not`);
    }
  }
  for (const { kind, selection } of foldersByKind(settings)) {
    if (kubernetes === undefined || kubernetes.claims.some((claim) => isWithin(selection.path, claim.path))) continue;
    problems.push(`${settingOf[kind]}: ${selection.path} is within none of kubernetes.claims: a pod sees nothing else`);
  }
  if (kubernetes !== undefined && problems.length === 0) return kubernetes;
  throw new DrError("SETTING_INVALID", `${file}: ${problems.join("; ")}`, {
    hint: "correct it there; docs/how-to/existing-qdrant.md shows a file for jobs in a cluster",
  });
}
