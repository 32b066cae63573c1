import { z } from "zod";
import type { RecoveryPoint } from "../../../runtime/domain/recovery-points/recovery-point.ts";
import { packSchema } from "../../../runtime/domain/recovery-points/stored-content.ts";
import type { OpenRepository } from "../../../runtime/repository/repository.ts";

/** Makes a recovery point that a capture of region `east` could have made, without a server: it has one tree, and no packs. */
export async function makeRecoveryPoint(
  repository: OpenRepository,
  at: Date,
  { isExact = true, ...more }: Partial<RecoveryPoint> & { readonly isExact?: boolean } = {},
): Promise<string> {
  const time = at.toISOString();
  const id = time.replaceAll(/[-:.]/g, "");
  const key = await repository.keys.key(repository.description.key);
  const treeSchema = z.object({ packs: z.array(packSchema), of: z.string() });
  const tree = await repository.createTree(key, treeSchema, { packs: [], of: id });
  await repository.createRecoveryPoint({
    format: 1,
    id,
    type: "full",
    kinds: ["qdrant", "config"],
    region: "east",
    epoch: 1,
    startedAt: time,
    time,
    finishedAt: time,
    qdrantVersion: "1.16.3",
    toolVersion: "test",
    collections: [],
    aliases: [],
    folders: [{ kind: "config", name: "etc", key: key.id, tree, startedAt: time, finishedAt: time, isExact }],
    ...more,
  });
  return id;
}
