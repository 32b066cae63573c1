/** What the peers of a Qdrant cluster say of a collection's shards, put together. */
import { z } from "zod";
import type { ShardKey } from "../../domain/qdrant/shard-key-plan.ts";
import { nameOrNumberSchema } from "../../domain/recovery-points/collection-facts.ts";
import type { ShardPlacement } from "../../ports/qdrant.ts";

const shardKey = nameOrNumberSchema.nullish();

export const clusterViewSchema = z.object({
  peer_id: z.number(),
  local_shards: z.array(z.object({ shard_id: z.number(), shard_key: shardKey, state: z.string() })),
  remote_shards: z.array(
    z.object({ shard_id: z.number(), shard_key: shardKey, peer_id: z.number(), state: z.string() }),
  ),
  shard_transfers: z.array(
    z.object({ shard_id: z.number(), to_shard_id: z.number().nullish(), from: z.number(), to: z.number() }),
  ),
  resharding_operations: z
    .array(z.object({ direction: z.string(), shard_id: z.number(), peer_id: z.number() }))
    .nullish(),
});

/** What a server says of the cluster that it is in; outside cluster mode it knows no other. */
export const membershipSchema = z.object({
  peer_id: z.number().optional(),
  peers: z.record(z.string(), z.unknown()).default({}),
});

interface Membership extends z.infer<typeof membershipSchema> {
  readonly peerUrl: string;
}

/** Two that are no peers of one Qdrant. One that has just joined may be unknown to the other, but knows it. */
export function strangersIn(memberships: readonly Membership[]): readonly [Membership, Membership] | undefined {
  const knows = (one: Membership, other: Membership) => String(other.peer_id) in one.peers;
  const [first, ...others] = memberships;
  const stranger = first && others.find((other) => !knows(first, other) && !knows(other, first));
  return first && stranger && [first, stranger];
}

/** A peer's answer, and where it was asked. */
export interface ClusterView extends z.infer<typeof clusterViewSchema> {
  readonly peerUrl: string;
}

interface Replica {
  readonly id: number;
  readonly key: ShardKey | null | undefined;
  readonly peer: number;
  readonly state: string;
}

function replicasSeenBy({ local_shards, peer_id, remote_shards }: ClusterView): Replica[] {
  return [...local_shards.map((shard) => ({ ...shard, peer_id })), ...remote_shards].map(
    ({ peer_id, shard_id, shard_key, state }) => ({ id: shard_id, key: shard_key, peer: peer_id, state }),
  );
}

/**
 * Replicas that are Active, whoever is asked, on peers that answered; and the shards that have none such. A peer that
 * was cut off takes its replica for Active when the others know it to be dead.
 */
export function activeReplicas(views: readonly ClusterView[]): {
  active: ShardPlacement[];
  lacking: number[];
  absent: number;
} {
  const urls = new Map(views.map(({ peer_id, peerUrl }) => [peer_id, peerUrl]));
  const seen = views.flatMap(replicasSeenBy);
  const byPlace = new Map(seen.map((replica) => [`${replica.id}/${replica.peer}`, replica]));
  const unusable = new Set(seen.filter(({ state }) => state !== "Active").map(({ id, peer }) => `${id}/${peer}`));
  const active: ShardPlacement[] = [];
  for (const [place, { id, key, peer }] of byPlace) {
    const peerUrl = urls.get(peer);
    if (peerUrl === undefined || unusable.has(place)) continue;
    active.push({ id, ...(key === null || key === undefined ? {} : { key }), peer, peerUrl });
  }
  const held = new Set(active.map(({ id }) => id));
  return {
    active: active.sort((a, b) => a.id - b.id || a.peer - b.peer),
    absent: byPlace.size - active.length,
    lacking: [...new Set(seen.map(({ id }) => id))].filter((id) => !held.has(id)).sort((a, b) => a - b),
  };
}

/** Transfers and resharding under way, in words. */
export function movementsIn(views: readonly ClusterView[]): string[] {
  const movements = views.flatMap((view) => [
    ...view.shard_transfers.map(({ from, shard_id, to, to_shard_id }) => {
      const into = to_shard_id === null || to_shard_id === undefined ? "" : ` into shard ${to_shard_id}`;
      return `shard ${shard_id} is transferred from peer ${from} to peer ${to}${into}`;
    }),
    ...(view.resharding_operations ?? []).map(({ direction, shard_id }) => {
      const what = direction === "down" ? "removed" : "added";
      return `the collection is resharded: shard ${shard_id} is being ${what}`;
    }),
    ...replicasSeenBy(view)
      .filter(({ state }) => state.startsWith("Resharding"))
      .map(({ id, peer }) => `shard ${id} on peer ${peer} is in the middle of resharding`),
  ]);
  return [...new Set(movements)].sort();
}

/** The state of a replica that is not Active, or what else keeps the shards from being whole. */
export function unrestIn(views: readonly ClusterView[]): string | undefined {
  const waiting = views.flatMap(replicasSeenBy).find(({ state }) => state !== "Active");
  if (waiting !== undefined) return waiting.state;
  return movementsIn(views).length > 0 ? "transferring" : undefined;
}
