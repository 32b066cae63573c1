/** What in a Qdrant, its settings and the way to it endangers its data, or the recovery points that are made of them. */
import { BlockList, isIP } from "node:net";
import { isRecord } from "../exact-json.ts";
import { checkSupported, isSince } from "../recovery-points/version-rule.ts";
import { addressOf, urlOf } from "../server-address.ts";

/** What a key may do, as far as that can be told without a change; "some": a token for some collections, or reads and some writes. */
export type KeyRights = "everything" | "reads" | "some";

export interface CollectionFacts {
  readonly name: string;
  readonly points: number;
  /** As Qdrant calls it: green, yellow, grey, red. */
  readonly health: string;
  /** Qdrant's `config`, whole. */
  readonly config: Readonly<Record<string, unknown>>;
}

export interface QdrantFacts {
  readonly urls: readonly string[];
  readonly version: string;
  readonly isClustered: boolean;
  /** Of the machine that answers; undefined where it does not say. */
  readonly cores: number | undefined;
  readonly answersWithoutKey: boolean;
  readonly rights: KeyRights;
  readonly collections: readonly CollectionFacts[];
}

export interface Hazard {
  /** `danger`: data or recovery points can be lost; `warning`: something will be slow, or refused; `note`: good to know. */
  readonly severity: "danger" | "warning" | "note";
  readonly what: string;
  /** What to do about it. */
  readonly mend?: string;
}

/** The worst first. */
export function hazardsOf(facts: QdrantFacts): Hazard[] {
  const ofCollections = facts.collections.flatMap((each) => [...hazardsOfCollection(each, facts)]);
  const all = [...hazardsOfVersion(facts), ...hazardsOfAccess(facts), ...ofCollections];
  const rank = { danger: 0, warning: 1, note: 2 } as const;
  return all.sort((a, b) => rank[a.severity] - rank[b.severity]);
}

function* hazardsOfVersion({ cores, version }: QdrantFacts): Generator<Hazard> {
  try {
    const newer = checkSupported(version);
    if (newer !== undefined)
      yield { severity: "warning", what: newer, mend: "`qdrant-dr restore --test` after the first backup" };
  } catch (error) {
    yield {
      severity: "danger",
      what: (error as Error).message,
      mend: "update Qdrant: recovery points of it are refused",
    };
    return;
  }
  // Tried on 1.19.0: `SegmentHolder` in `recreate_optimizers`; web workers are the cores less one, and at least one.
  if (cores !== undefined && cores <= 2 && isSince(version, 1, 18)) {
    yield {
      severity: "danger",
      what: `Qdrant ${version} on ${cores} ${cores === 1 ? "core" : "cores"} serves all requests with one thread: a change of a collection's settings during a backup can stop it for good`,
      mend: "start it with QDRANT__SERVICE__MAX_WORKERS=4",
    };
  }
}

function* hazardsOfAccess({ answersWithoutKey, rights, urls }: QdrantFacts): Generator<Hazard> {
  if (answersWithoutKey) {
    yield {
      severity: "danger",
      what: "it answers without a key: whoever reaches it can read, change and delete everything",
      mend: "start it with QDRANT__SERVICE__API_KEY",
    };
  }
  for (const url of urls.filter((each) => !addressOf(each).isTls && isPublic(addressOf(each).host))) {
    yield {
      severity: "danger",
      what: `${urlOf(addressOf(url))} is a public address, and reached over plain HTTP: the key and all data can be read on the way`,
      mend: "give it TLS (QDRANT__SERVICE__ENABLE_TLS, or a proxy), or a private address",
    };
  }
  if (rights !== "everything") {
    yield {
      severity: "danger",
      what:
        rights === "reads"
          ? "the key may only read: Qdrant lets nobody capture or restore with it"
          : "the key may not do everything: captures need reads and writes of every collection, restores need all rights",
      mend: "use Qdrant's own API key (QDRANT__SERVICE__API_KEY)",
    };
  }
}

function* hazardsOfCollection(
  { config, health, name }: CollectionFacts,
  { isClustered, version }: QdrantFacts,
): Generator<Hazard> {
  const {
    optimizer_config: optimizers,
    params,
    strict_mode_config: strict,
  } = fieldsOf(config, "optimizer_config", "params", "strict_mode_config");
  if (health === "red") {
    yield {
      severity: "danger",
      what: `${name} is red: an optimization failed, and what it holds may not be readable`,
      mend: "look at Qdrant's log; the disk or the memory is often full",
    };
  } else if (health === "yellow") {
    yield {
      severity: "note",
      what: `${name} optimizes now: a backup waits for a while, and calls what it could not wait for provisional`,
    };
  } else if (health !== "green" && health !== "grey") {
    yield {
      severity: "danger",
      what: `${name} is not whole: ${health}`,
      mend: "look at Qdrant's log: it cannot be captured so",
    };
  }
  if (optimizers["max_optimization_threads"] === 0) {
    yield {
      severity: "warning",
      what: `${name} never optimizes (max_optimization_threads is 0): searches get slower with every write, here and where it is restored`,
      mend: `set max_optimization_threads of ${name} to a number when it does not optimize`,
    };
  }
  if (optimizers["indexing_threshold"] === 0) {
    yield {
      severity: "warning",
      what: `${name} is never indexed (indexing_threshold is 0): each search compares every point, here and where it is restored`,
      mend: `set indexing_threshold of ${name}, unless that is meant`,
    };
  }
  if (isClustered && params["replication_factor"] === 1) {
    yield {
      severity: "warning",
      what: `${name} has one copy of each shard (replication_factor is 1): with a node, its part of the data is gone until it is restored`,
      mend: "a replication_factor of 2 or more, where the cluster has as many nodes",
    };
  }
  if (params["sharding_method"] === "custom") {
    yield {
      severity: "note",
      what: `${name} has shard keys: it is restored only on a Qdrant in cluster mode (one node is enough)`,
    };
  }
  if (strict["enabled"] === true) {
    yield {
      severity: "note",
      what: `${name} has strict mode: a backup samples within its limits, and a restore sets it last`,
    };
  }
  if (optimizers["prevent_unoptimized"] === true && isSince(version, 1, 17)) {
    yield {
      severity: "note",
      what: `${name} hides points until they are optimized (prevent_unoptimized): counts of a backup leave them out, its data do not`,
    };
  }
}

function fieldsOf<Name extends string>(
  config: Readonly<Record<string, unknown>>,
  ...names: readonly Name[]
): Record<Name, Readonly<Record<string, unknown>>> {
  return Object.fromEntries(
    names.map((name) => {
      const value = config[name];
      return [name, isRecord(value) ? value : {}];
    }),
  ) as Record<Name, Record<string, unknown>>;
}

const privateBlocks = new BlockList();
for (const [network, bits, family] of [
  ["10.0.0.0", 8, "ipv4"],
  ["100.64.0.0", 10, "ipv4"],
  ["127.0.0.0", 8, "ipv4"],
  ["169.254.0.0", 16, "ipv4"],
  ["172.16.0.0", 12, "ipv4"],
  ["192.168.0.0", 16, "ipv4"],
  ["fc00::", 7, "ipv6"],
  ["fe80::", 10, "ipv6"],
] as const)
  privateBlocks.addSubnet(network, bits, family);
privateBlocks.addAddress("::1", "ipv6");

/** A name without a dot, or below a domain of private networks, leads to no public address; others may, and are called so. */
export function isPublic(host: string): boolean {
  const address = host.replace(/^\[(.*)\]$/, "$1");
  const family = isIP(address);
  if (family !== 0) return !privateBlocks.check(address, family === 6 ? "ipv6" : "ipv4");
  return (
    host.includes(".") &&
    !/\.(local|localhost|internal|intranet|lan|home|home\.arpa|svc|cluster\.local|test)\.?$/i.test(host)
  );
}

/** Vectors as they are kept, and payloads of an ordinary length: a guess, for where nothing was measured. */
const guessedPayloadBytes = 500;
const guessedVectorsOfMultivector = 32;
const bytesOfNumber: Readonly<Record<string, number>> = { float16: 2, uint8: 1 };

/** What a collection's shards take in bytes, roughly. */
export function guessedBytes({ config, points }: Pick<CollectionFacts, "config" | "points">): number {
  const { params } = fieldsOf(config, "params");
  const { vectors } = params;
  const all = isRecord(vectors) ? ("size" in vectors ? [vectors] : Object.values(vectors)) : [];
  const perPoint = all.filter(isRecord).reduce((sum, { datatype, multivector_config: multi, size }) => {
    const vectorsOfOne = multi === null || multi === undefined ? 1 : guessedVectorsOfMultivector;
    return sum + Number(size ?? 0) * (bytesOfNumber[String(datatype)] ?? 4) * vectorsOfOne;
  }, guessedPayloadBytes);
  return points * perPoint;
}
