import { DrError } from "../../../errors.ts";
import type { ShardPlacement } from "../../../ports/qdrant.ts";
import { type FingerprintSource, ownFingerprint } from "./own-fingerprint.ts";

/** Notices when a peer was restarted or restored into: it is asked once before its first shard is read and once after the last. */
export class RestartDetector {
  readonly #source: FingerprintSource;
  readonly #asked = new Map<number, { readonly shard: ShardPlacement; readonly fingerprint: Promise<string> }>();

  constructor(source: FingerprintSource) {
    this.#source = source;
  }

  fingerprintOf(shard: ShardPlacement): Promise<string> {
    const known = this.#asked.get(shard.peer);
    if (known !== undefined) return known.fingerprint;
    const fingerprint = ownFingerprint(this.#source, shard);
    this.#asked.set(shard.peer, { shard, fingerprint });
    return fingerprint;
  }

  async refuseChanged(): Promise<void> {
    for (const [peer, { fingerprint, shard }] of this.#asked) {
      if ((await ownFingerprint(this.#source, shard)) === (await fingerprint)) continue;
      throw new DrError("LINEAGE_BROKEN", `peer ${peer} was restarted or restored into during the capture`, {
        hint: "nothing was committed; capture again",
      });
    }
  }
}
