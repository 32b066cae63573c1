/**
 * What has to be sent to a shard that holds one tree, so that it holds another. Contents decide, not versions: those are
 * counters of one server, and a standby's start anew with each segment it loads.
 */
import type { SegmentManifest } from "../qdrant/segment-manifest.ts";
import type { ShardTree, TreeFile } from "./shard-tree.ts";

const segmentFile = /^segments\/([^/]+)\/files\/(.+)$/;

/**
 * The files of `now` that are not as in `before`, or that the shard does not name among its own (`present`); all that
 * belongs to no segment; and those that Qdrant names nowhere.
 */
export function filesToSend(before: ShardTree, now: ShardTree, present: SegmentManifest): TreeFile[] {
  const known = new Map(before.files.map((file) => [file.path, file]));
  return now.files.filter((file) => {
    const [, segment = "", name = ""] = segmentFile.exec(file.path) ?? [];
    const isNamed = now.segments[segment]?.file_versions[name] !== undefined;
    const isPresent = present[segment]?.file_versions[name] !== undefined;
    const standing = known.get(file.path);
    return !(isNamed && isPresent && standing !== undefined && isSameContent(standing, file));
  });
}

/** By the names of what the files are stored as, which are hashes of it; never true by mistake. */
function isSameContent(a: TreeFile, b: TreeFile): boolean {
  return (
    a.size === b.size &&
    a.lists.length === b.lists.length &&
    a.lists.every((list, position) => list?.name === b.lists[position]?.name)
  );
}
