/** Who is believed in tests: one operator, who signs all that tests store. */

import { openStore } from "../../../runtime/adapters/stores/open-store.ts";
import type { SignedStoreKind } from "../../../runtime/domain/recovery-points/store-layout.ts";
import type { Region } from "../../../runtime/domain/region.ts";
import { signObject } from "../../../runtime/domain/trust/envelope.ts";
import { publicKeyOf, signingKeyFrom } from "../../../runtime/domain/trust/signing-key.ts";
import type { Trust } from "../../../runtime/domain/trust/trust.ts";
import type { ObjectStore } from "../../../runtime/ports/object-store.ts";
import { SignedStore } from "../../../runtime/repository/signed-store.ts";

export const signing = signingKeyFrom("the operator of the tests");
export const trust: Trust = { id: "of-the-tests", keys: [{ name: "tester", key: publicKeyOf(signing) }] };

/** A store of the region, as its own commands see it. */
export function signed(store: ObjectStore, region: string, kind: SignedStoreKind): SignedStore {
  return new SignedStore(store, { trust, trustId: trust.id, region, store: kind, signingKey: signing });
}

/** An object of a control store as it is stored. */
export function storedAs(region: string, key: string, text: string): Buffer {
  return signObject(signing, { trustId: trust.id, region, store: "control" }, key, Buffer.from(text));
}

/** What a stored record says, whoever signed it. */
export function saidIn(stored: string): string {
  return stored.slice(stored.indexOf("\n") + 1);
}

export function storeOf(region: Region, kind: "repository" | "control"): SignedStore {
  return signed(openStore(region[kind]), region.region, kind);
}
