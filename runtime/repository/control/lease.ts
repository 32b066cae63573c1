/**
 * The lease of the active region, at a third place: a chain of create-only records for each epoch. Who makes the next
 * link holds the lease for the seconds that it names, counted from before the request; whoever promotes another region
 * makes a link that ends the chain, and then waits until the last one has run out. No clocks are compared.
 */
import { z } from "zod";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { createRecord, readOptionalRecord } from "../record.ts";

export const linkSchema = z.object({
  region: z.string(),
  /** How long it is held; 0 ends the chain. */
  seconds: z.number().nonnegative(),
  at: z.iso.datetime(),
});
type Link = z.infer<typeof linkSchema>;

export class Lease {
  readonly #witness: ObjectStore;
  readonly #region: string;
  readonly #seconds: number;
  readonly #clock: Clock;
  #epoch = 0;
  #next = 1;
  #heldUntil = Number.NEGATIVE_INFINITY;

  constructor(
    witness: ObjectStore,
    { clock, region, seconds }: { readonly region: string; readonly seconds: number; readonly clock: Clock },
  ) {
    this.#witness = witness;
    this.#region = region;
    this.#seconds = seconds;
    this.#clock = clock;
  }

  isHeld(epoch: number): boolean {
    return epoch === this.#epoch && this.#clock.monotonic() < this.#heldUntil;
  }

  /** Holds it from now on, unless the chain was ended. Throws when the witness does not answer: then it runs out. */
  async renew(epoch: number): Promise<void> {
    if (epoch !== this.#epoch) {
      this.#heldUntil = Number.NEGATIVE_INFINITY;
      const { link, number } = await newestLink(this.#witness, epoch);
      // Nothing follows the link that ends the chain.
      this.#next = link?.seconds === 0 ? number : number + 1;
      this.#epoch = epoch;
    }
    // A third of it is used up before it is renewed, so that two renewals may fail.
    if (this.#heldUntil - this.#clock.monotonic() > (1000 * this.#seconds * 2) / 3) return;
    for (;;) {
      const askedAt = this.#clock.monotonic();
      const link = { region: this.#region, seconds: this.#seconds, at: this.#clock.now().toISOString() };
      if (await makeLink(this.#witness, epoch, this.#next, link)) {
        this.#next += 1;
        this.#heldUntil = askedAt + 1000 * this.#seconds;
        return;
      }
      const other = await readLink(this.#witness, epoch, this.#next);
      if (other === undefined || other.seconds === 0) return;
      // A link of ours whose answer was lost, or another guard's of this region: after it comes the next.
      this.#next += 1;
    }
  }
}

/** Ends the chain of an epoch; answers for how many seconds its holder may go on. */
export async function endLease(witness: ObjectStore, epoch: number, region: string, clock: Clock): Promise<number> {
  for (;;) {
    const { link, number } = await newestLink(witness, epoch);
    const last = { region, seconds: 0, at: clock.now().toISOString() };
    if (link?.seconds === 0) {
      // Ended by an earlier run, which may have died while it waited: the link before it says how long that takes.
      return (await readLink(witness, epoch, number - 1))?.seconds ?? 0;
    }
    if (await makeLink(witness, epoch, number + 1, last)) return link?.seconds ?? 0;
  }
}

async function makeLink(witness: ObjectStore, epoch: number, number: number, link: Link): Promise<boolean> {
  return (await createRecord(witness, controlLayout.leaseLink(epoch, number), linkSchema, link)) === "created";
}

/** Throws OBJECT_CORRUPT at a link that cannot be read: it may be the one that ends the chain. */
async function readLink(witness: ObjectStoreReader, epoch: number, number: number): Promise<Link | undefined> {
  return number < 1 ? undefined : readOptionalRecord(witness, controlLayout.leaseLink(epoch, number), linkSchema);
}

/** Looked for by doubling and halving: a chain may have a million links, and a listing of them would take a minute. */
async function newestLink(
  witness: ObjectStoreReader,
  epoch: number,
): Promise<{ readonly number: number; readonly link?: Link | undefined }> {
  let there = 0;
  let missing = 1;
  while ((await readLink(witness, epoch, missing)) !== undefined) {
    there = missing;
    missing *= 2;
  }
  while (missing - there > 1) {
    const middle = Math.floor((there + missing) / 2);
    if ((await readLink(witness, epoch, middle)) === undefined) missing = middle;
    else there = middle;
  }
  return { number: there, link: await readLink(witness, epoch, there) };
}
