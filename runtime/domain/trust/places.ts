/**
 * What is signed, and who is believed about it. A job's key counts exactly where the table of jobs lets the job create objects;
 * what decides who serves is for operators alone.
 */
import { definitionOf } from "../jobs.ts";
import {
  isOfJournal,
  isOfThePair,
  orderIn,
  placesOfOperators,
  type SignedStoreKind,
  unsignedPlaces,
} from "../recovery-points/store-layout.ts";
import type { TrustedKey } from "./trust.ts";

export interface StorePlace {
  /** Of the pair. */
  readonly trustId: string;
  readonly region: string;
  readonly store: SignedStoreKind;
}

export function isSignedPlace(store: SignedStoreKind, key: string): boolean {
  return !unsignedPlaces[store].test(key);
}

/**
 * What a signature is for. An epoch is the pair's, the same in both control stores, so that whoever sees it in one can carry it
 * to the other as it is; everything else belongs where it was stored.
 */
export function identityOf({ region, store, trustId }: StorePlace, key: string): string {
  if (store === "witness") return `${trustId}/witness`;
  return store === "control" && isOfThePair(key) ? trustId : `${trustId}/${region}/${store}`;
}

/** Why what this key signed there does not count; undefined when it does. */
export function whyNotBelieved(trusted: TrustedKey, { region, store }: StorePlace, key: string): string | undefined {
  const { job } = trusted;
  if (job !== undefined) {
    if (placesOfOperators[store]?.test(key) === true) return "only an operator may say that";
    if (!mayCreate({ ...trusted, job }, region, store, key)) return `the job ${job} has no business there`;
  }
  return trusted.revoked === undefined ? undefined : whyTooLate(trusted.revoked, key);
}

function mayCreate(
  trusted: TrustedKey & { readonly job: NonNullable<TrustedKey["job"]> },
  region: string,
  store: SignedStoreKind,
  key: string,
): boolean {
  const { holdsLease, own, peer, writesJournal } = definitionOf(trusted.job);
  if (store === "witness") return holdsLease;
  if (store === "repository" && isOfJournal(key)) {
    // Of its own region, and kept where that region is not.
    return (
      writesJournal && trusted.region !== undefined && trusted.region !== region && isOfJournal(key, trusted.region)
    );
  }
  const places = trusted.region === region ? own : peer;
  return (places?.stores[store] ?? []).some((prefix) => isBelow(prefix, key));
}

/** @param prefix in which `*` stands for anything, as in the policies of buckets. */
function isBelow(prefix: string, key: string): boolean {
  const [head = "", ...rest] = prefix.split("*");
  if (!key.startsWith(head)) return false;
  let at = head.length;
  for (const part of rest) {
    const found = key.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return true;
}

/** Only what its own name gives an order can be told to be later. */
function whyTooLate({ at, epoch }: NonNullable<TrustedKey["revoked"]>, key: string): string | undefined {
  const order = orderIn(key);
  if (order.epoch !== undefined) return order.epoch > epoch ? `it was revoked after epoch ${epoch}` : undefined;
  return order.time !== undefined && order.time > Date.parse(at) ? `it was revoked at ${at}` : undefined;
}
