/** Two regions' stores in memory with a repository in the first, as the commands would compose them. */
import { generateIdentity, identityToRecipient } from "age-encryption";
import { AgeKeyWrap } from "../../../runtime/adapters/age-key-wrap.ts";
import { controlLayout } from "../../../runtime/domain/recovery-points/store-layout.ts";
import type { EpochRecord } from "../../../runtime/domain/roles/epoch.ts";
import type { KeyWrap } from "../../../runtime/ports/key-wrap.ts";
import type { ObjectStore } from "../../../runtime/ports/object-store.ts";
import { OpenRepository } from "../../../runtime/repository/repository.ts";
import { systemClock } from "../../../runtime/time/system-clock.ts";
import { MemoryStore } from "../servers/memory-store.ts";

export { systemClock };
export const silently = () => undefined;

export const firstEpoch: EpochRecord = {
  epoch: 1,
  active: "east",
  reason: "initial",
  run: "setup",
  at: "2026-01-01T00:00:00.000Z",
};

export interface MemoryStores {
  readonly repository: MemoryStore;
  readonly control: MemoryStore;
}

/** Stores of a region that knows the first epoch: `east` is active. */
export function storesWithEpoch(): MemoryStores {
  const stores = { repository: new MemoryStore(), control: new MemoryStore() };
  stores.control.objects.set(controlLayout.epoch(1), Buffer.from(JSON.stringify(firstEpoch)));
  return stores;
}

export async function ageKeys() {
  const [operational, offline, other] = [await generateIdentity(), await generateIdentity(), await generateIdentity()];
  const recipients = [await identityToRecipient(operational), await identityToRecipient(offline)];
  const holder = (identity: string): KeyWrap => new AgeKeyWrap({ recipients, identity });
  const wraps = { wrap: holder(operational), recovery: holder(offline), stranger: holder(other) };
  return { ...wraps, identity: operational, recipients };
}

export function copyOf(store: MemoryStore): MemoryStore {
  const copy = new MemoryStore();
  for (const [key, bytes] of store.objects) copy.objects.set(key, bytes);
  return copy;
}

/** The same points, with a control store of its own: what is restored from it leaves no record in the source's. */
export async function asSeenElsewhere(
  stores: MemoryStores,
  wrap: KeyWrap,
  repository: ObjectStore = stores.repository,
): Promise<OpenRepository> {
  return OpenRepository.open({ repository, control: copyOf(stores.control) }, wrap);
}
