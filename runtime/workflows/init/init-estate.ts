/** The first epoch of an estate, which names the region that serves first. Without one no stack comes up. */
import { type EpochRecord, newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { claimEpoch, readEpochs } from "../../repository/control/epochs.ts";

export interface InitEstateRequest {
  readonly initialActive: string;
  /** The control store of each region, by its name. */
  readonly controls: ReadonlyMap<string, ObjectStore>;
  readonly run: string;
  readonly now: Date;
}

export interface InitialisedEstate {
  /** The first epoch, as it stands in every store. */
  readonly first: EpochRecord;
  /** The newest of all: another one when the estate has failed over since. */
  readonly newest: EpochRecord;
}

/**
 * Safe to repeat, and beside another: all begin with the same store, and whoever is first there decides.
 * @throws EPOCH_CONFLICT when the stores say another thing than is asked, or than each other.
 */
export async function initEstate({ controls, initialActive, now, run }: InitEstateRequest): Promise<InitialisedEstate> {
  const stores = [...controls].sort(([one], [other]) => (one < other ? -1 : 1));
  const known: EpochRecord[] = [];
  let first: EpochRecord | undefined;
  const agree = (name: string, record: EpochRecord) => {
    if (record.active === initialActive && record.run === (first ?? record).run) return;
    const { active, run: by } = record;
    throw new DrError("EPOCH_CONFLICT", `the control store of ${name} begins with ${active} as active, by run ${by}`, {
      hint: "name that region, or give control stores that no other estate has used",
    });
  };
  for (const [name, control] of stores) {
    const records = await readEpochs(control);
    const begun = records.find(({ epoch }) => epoch === 1);
    if (begun !== undefined) agree(name, begun);
    first ??= begun;
    known.push(...records);
  }
  first ??= { epoch: 1, active: initialActive, reason: "initial", run, at: now.toISOString() };
  for (const [index, [name, control]] of stores.entries()) {
    const told = await claimEpoch(control, first);
    // Another run may have been first in the first store: then this one goes on with its record.
    if (index === 0 && told.active === initialActive) first = told;
    agree(name, told);
  }
  return { first, newest: newestEpoch(known) ?? first };
}
