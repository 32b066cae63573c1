/**
 * Qdrant's own manifest of a shard: which files each segment has, in which version (lib/segment/src/data_types/manifest.rs,
 * v1.16.3; lib/shard/src/snapshots/snapshot_manifest.rs from v1.17 on). The versions are counters of one server: they compare captures of one lineage and
 * say nothing across lineages.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { DrError } from "../../errors.ts";
import { canonicalJson } from "../exact-json.ts";

const segmentSchema = z.object({
  /** A name of a member that every object has is nobody's id: what is kept by ids would change instead of holding it. */
  segment_id: z.string().refine((id) => !(id in {})),
  segment_version: z.number().int().nonnegative(),
  file_versions: z.record(z.string(), z.number().int().nonnegative().nullable()),
});

export const segmentManifestSchema = z.record(z.string(), segmentSchema);
export type SegmentManifest = z.infer<typeof segmentManifestSchema>;
export type Segment = z.infer<typeof segmentSchema>;

/** Equal digests: nothing was written in between. */
export function digestOfSegments(segments: SegmentManifest): string {
  return createHash("sha256").update(canonicalJson(segments)).digest("base64url");
}

export function parseSegment(json: string): Segment {
  try {
    return segmentSchema.parse(JSON.parse(json));
  } catch (cause) {
    throw new DrError("CAPTURE_INCOMPLETE", "a segment's manifest in the archive cannot be read", {
      hint: "capture again; if it stays, this Qdrant version writes a manifest this version does not know",
      cause,
    });
  }
}

/** Files of a segment by their path in the shard's archive. Entries named `::…` are markers of 1.16, not files. */
export function filesOfSegment(segment: Segment): string[] {
  return Object.keys(segment.file_versions)
    .filter((file) => !file.startsWith("::"))
    .map((file) => `segments/${segment.segment_id}/files/${file}`);
}

/** Qdrant writes a deleted point's length of text into it in place and leaves its version as it is (tried on 1.16.3). */
const changesWithoutVersion = /\/point_to_tokens_count\.dat$/;

/** Files of a segment that every archive brings and no manifest names; without them its points are gone or unreadable. */
export function unnamedFilesOf(segment: Segment): string[] {
  return ["segment.json", "version.info"].map((file) => `segments/${segment.segment_id}/files/${file}`);
}

/**
 * The version of a file by its path in the shard's archive; undefined when its segment gives none that tells its bytes.
 * A file without one of its own is as old as its segment: those that Qdrant changes in place, points among them.
 */
export function versionOf(segments: SegmentManifest, path: string): number | undefined {
  if (changesWithoutVersion.test(path)) return undefined;
  const match = /^segments\/([^/]+)\/files\/(.+)$/.exec(path);
  const segment = ownMember(segments, match?.[1] ?? "");
  const version = segment && ownMember(segment.file_versions, match?.[2] ?? "");
  return version === null ? segment?.segment_version : version;
}

/** The path is a server's: it may name what every object has. */
function ownMember<T>(members: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}

/** Segments whose versions went down since `base`: proof that the server's history is another one. */
export function segmentsThatWentBack(base: SegmentManifest, now: SegmentManifest): string[] {
  return Object.entries(now)
    .filter(([id, segment]) => {
      const before = base[id];
      if (before === undefined) return false;
      if (segment.segment_version < before.segment_version) return true;
      return Object.entries(segment.file_versions).some(([file, version]) => {
        const versionBefore = before.file_versions[file];
        return typeof version === "number" && typeof versionBefore === "number" && version < versionBefore;
      });
    })
    .map(([id]) => id);
}
