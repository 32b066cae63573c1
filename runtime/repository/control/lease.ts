/**
 * The lease of the active region, at a third place: a chain of create-only records for each epoch. Who makes the next
 * link holds the lease for the seconds that it names, counted from before the request; whoever promotes another region
 * makes a link that ends the chain, and then waits until the last one has run out. No clocks are compared.
 */
import { z } from "zod";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { mostLeaseSeconds } from "../../domain/settings/primitives.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { NumberedLog } from "../numbered-log.ts";

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
      const { link, next } = await newestLink(this.#witness, epoch);
      // Nothing follows the link that ends the chain.
      this.#next = link?.seconds === 0 ? next - 1 : next;
      this.#epoch = epoch;
    }
    // A third of it is used up before it is renewed, so that two renewals may fail.
    if (this.#heldUntil - this.#clock.monotonic() > (1000 * this.#seconds * 2) / 3) return;
    for (;;) {
      this.#next = await linksOf(this.#witness, epoch).free(this.#next);
      const askedAt = this.#clock.monotonic();
      const link = { region: this.#region, seconds: this.#seconds, at: this.#clock.now().toISOString() };
      if (await makeLink(this.#witness, epoch, this.#next, link)) {
        this.#next += 1;
        this.#heldUntil = askedAt + 1000 * this.#seconds;
        return;
      }
      // Throws OBJECT_CORRUPT at a link that cannot be read: it may be the one that ends the chain.
      const other = await linksOf(this.#witness, epoch).read(this.#next);
      if (other === undefined || other.seconds === 0) return;
      // A link of ours whose answer was lost, or another guard's of this region: after it comes the next.
      this.#next += 1;
    }
  }
}

/** Ends the chain of an epoch; answers for how many seconds its holder may go on. */
export async function endLease(witness: ObjectStore, epoch: number, region: string, clock: Clock): Promise<number> {
  for (;;) {
    const { link, next } = await newestLink(witness, epoch);
    const last = { region, seconds: 0, at: clock.now().toISOString() };
    if (link?.seconds === 0) {
      // Ended by an earlier run, which may have died while it waited: the link before it says how long that takes.
      const links = linksOf(witness, epoch);
      const beforeEnd = await links.before(next - 1);
      return secondsHeld(beforeEnd && (beforeEnd.record ?? (await links.read(beforeEnd.number))));
    }
    const free = await linksOf(witness, epoch).free(next);
    if (await makeLink(witness, epoch, free, last)) return secondsHeld(link);
  }
}

/** The seconds that a link grants, as far as settings can; 0 without a link, for then nobody holds the lease. */
function secondsHeld(link: Link | undefined): number {
  return link === undefined ? 0 : Math.min(link.seconds, mostLeaseSeconds);
}

function linksOf(witness: ObjectStoreReader, epoch: number): NumberedLog<Link> {
  return new NumberedLog(witness, (link) => controlLayout.leaseLink(epoch, link), linkSchema);
}

async function makeLink(witness: ObjectStore, epoch: number, number: number, link: Link): Promise<boolean> {
  return (await linksOf(witness, epoch).create(witness, number, link)) === "created";
}

/** The newest link, and the number of the one that would follow it. Throws OBJECT_CORRUPT when it cannot be read. */
async function newestLink(
  witness: ObjectStoreReader,
  epoch: number,
): Promise<{ readonly link: Link | undefined; readonly next: number }> {
  const links = linksOf(witness, epoch);
  const newest = await links.newest();
  if (newest === undefined) return { link: undefined, next: 1 };
  return { link: newest.record ?? (await links.read(newest.number)), next: newest.number + 1 };
}
