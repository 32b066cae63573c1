/** Opens a store of a region so that only what is signed for it is read, and what is created is signed. */
import { openStore } from "../adapters/stores/open-store.ts";
import type { StoreLimits } from "../adapters/stores/s3-store.ts";
import type { SignedStoreKind } from "../domain/recovery-points/store-layout.ts";
import type { Region, StoreAddress } from "../domain/region.ts";
import { SignedStore } from "../repository/signed-store.ts";

export function openSignedStore(
  { keys, region, trust }: Pick<Region, "keys" | "region" | "trust">,
  store: SignedStoreKind,
  address: StoreAddress,
  limits: StoreLimits = {},
): SignedStore {
  const signing = keys.signing === undefined ? {} : { signingKey: keys.signing };
  return new SignedStore(openStore(address, limits), { trust, trustId: trust.id, region, store, ...signing });
}
