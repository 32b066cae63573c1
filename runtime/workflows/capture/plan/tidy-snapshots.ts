import type { Progress } from "../../../ports/progress.ts";
import { unreadableReporter } from "../../name-unreadable.ts";
import type { TemporarySnapshots } from "../shard/temporary-snapshot.ts";

/** Removes the temporary snapshots that captures left which were cut off, and reports those that may be somebody's. */
export class SnapshotTidier {
  readonly #progress: Progress;
  readonly #snapshots: TemporarySnapshots;

  constructor(snapshots: TemporarySnapshots, progress: Progress) {
    this.#progress = progress;
    this.#snapshots = snapshots;
  }

  async tidy(): Promise<void> {
    const { removed, unsure } = await this.#snapshots.removeLeft(unreadableReporter(this.#progress));
    for (const name of removed) this.#report(`removed ${name}, which a capture that was cut off left`);
    for (const name of unsure) {
      this.#report(`${name} may be left from a capture that was cut off: delete it if it is not yours`);
    }
  }

  #report(detail: string): void {
    this.#progress({ step: "tidy", detail });
  }
}
