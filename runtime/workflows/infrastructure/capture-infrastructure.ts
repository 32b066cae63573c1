/** Captures the infrastructure around a region's Qdrant, as a folder of documents. */

import { isObjectPath } from "../../domain/infrastructure/infrastructure.ts";
import { filesOf, folderTreeSchema } from "../../domain/recovery-points/folder-tree.ts";
import { DrError } from "../../errors.ts";
import type { InfrastructureSource } from "../../ports/cluster.ts";
import type { Progress } from "../../ports/progress.ts";
import type { FolderCapture, FolderContext } from "../capture/folder-capture.ts";
import { captureFolder } from "../folders/capture-folder.ts";
import { documentFolder } from "../folders/document-folder.ts";

const name = "infrastructure";

export function infrastructureCapture(source: InfrastructureSource, progress: Progress): FolderCapture {
  const kind = "infrastructure";
  return {
    kind,
    name,
    async capture(context) {
      let objects = 0;
      const counted: InfrastructureSource = {
        async *documents() {
          for await (const document of source.documents()) {
            if (isObjectPath(document.path)) objects += 1;
            yield document;
          }
        },
      };
      const captured = await captureFolder({ kind, name, source: documentFolder(counted) }, context, progress);
      if (objects === 0) await refuseEmptied(context);
      return captured;
    },
  };
}

/** A cluster that was made anew, or is another one than before, lists nothing. */
async function refuseEmptied({ allowEmpty, before, repository }: FolderContext): Promise<void> {
  if (allowEmpty || before === undefined) return;
  const tree = await repository.readTree(before.tree.id, folderTreeSchema);
  const had = filesOf(tree).filter(({ path }) => isObjectPath(path)).length;
  if (had === 0) return;
  throw new DrError(
    "LINEAGE_BROKEN",
    `the cluster holds no objects of the kinds asked for, and the last recovery point holds ${had}`,
    { hint: "see whether it is the cluster that is meant; if it was emptied on purpose, repeat with --allow-empty" },
  );
}
