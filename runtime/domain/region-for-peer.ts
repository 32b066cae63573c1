/**
 * What a region gives the other one: made for that, so that a region that is taken over, or one bad run in it, does not hold the other's
 * keys too. It reads the stores, and Qdrant as far as captures need; it opens nothing, lets no client in and moves no gate.
 */
import { z } from "zod";
import { type Region, regionSchema, type StoreAddress } from "./region.ts";

const made =
  "the output `peer` of that stack, which is made for this region: its output `region` gives away more than this region needs";

export const peerRegionSchema = regionSchema
  .extend({ madeFor: z.string(made) })
  .superRefine(({ endpoint, gate, keys }, { addIssue }) => {
    const holds = [
      ...(keys.identity === undefined ? [] : [["keys", "identity"]]),
      ...(gate === undefined ? [] : [["gate"]]),
      ...(endpoint === undefined ? [] : [["endpoint"]]),
    ];
    for (const path of holds) addIssue({ code: "custom", path, message: made });
  });
export type PeerRegion = z.infer<typeof peerRegionSchema>;

type Credentials = NonNullable<Extract<StoreAddress, { kind: "s3" }>["credentials"]>;

/** What the other region gets instead of this one's own keys. Absent: a role gives it access, and the key is the same. */
export interface KeysForPeer {
  /** Reads the stores and writes nothing. */
  readonly store: Credentials | undefined;
  /** Captures from this Qdrant. */
  readonly qdrant: string | undefined;
}

export function regionForPeer(
  { endpoint: _endpoint, gate: _gate, keys, peer = "", qdrant, ...region }: Region,
  given: KeysForPeer,
): PeerRegion {
  const readable = (address: StoreAddress) =>
    address.kind === "file" ? address : { ...address, credentials: given.store };
  return {
    ...region,
    peer,
    madeFor: peer,
    qdrant: { ...qdrant, apiKey: given.qdrant ?? qdrant.apiKey },
    repository: readable(region.repository),
    control: readable(region.control),
    keys: { recipients: keys.recipients },
  };
}
