import { standingQuarantines } from "../../domain/recovery-points/quarantine.ts";
import { attest } from "../../repository/catalog/attest.ts";
import { readFindings } from "../../repository/catalog/findings.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { type Damage, NamedObjects } from "./find-damage.ts";

/**
 * Quarantines the recovery points that need one of the damaged objects, each once for it: whoever restores must not find out half-way.
 * @returns their ids.
 */
export async function quarantineNaming(
  repository: OpenRepository,
  damages: readonly Damage[],
  { at, region }: { readonly at: Date; readonly region: string },
): Promise<readonly string[]> {
  if (damages.length === 0) return [];
  const named = new NamedObjects(repository);
  const { attestations, recoveryPoints } = await readFindings(repository.stores.repository);
  const quarantined: string[] = [];
  for (const id of recoveryPoints) {
    const keys = await named.keysOf(id);
    const damaged = damages.filter(({ key }) => keys.has(key));
    if (damaged.length === 0) continue;
    quarantined.push(id);
    const standing = standingQuarantines(attestations.get(id) ?? []);
    if (damaged.every(({ key }) => standing.some((each) => each.damaged?.includes(key)))) continue;
    const isWhole = damaged.every(({ key }) => keys.get(key)?.costsAll === false);
    await attest(
      repository,
      isWhole ? "folders-quarantined" : "quarantined",
      { id },
      {
        at,
        region,
        detail: damaged.map(({ because, key }) => `${key}: ${because}`).join("; "),
        damaged: damaged.map(({ key }) => key),
      },
    );
  }
  return quarantined;
}
