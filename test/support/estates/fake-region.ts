/** What a failover acts on beside stores and Qdrant: traffic control and stacks that keep their contracts in memory. */
import type { Region } from "../../../runtime/domain/region.ts";
import { DrError } from "../../../runtime/errors.ts";
import type { ObjectStoreReader } from "../../../runtime/ports/object-store.ts";
import type { Stacks } from "../../../runtime/ports/stacks.ts";
import type { TrafficControl } from "../../../runtime/ports/traffic.ts";
import { readEffectiveRole } from "../../../runtime/repository/control/effective-role.ts";
import { trust } from "./test-trust.ts";

export class FakeTraffic implements TrafficControl {
  target: { readonly region: string; readonly epoch: number } | undefined = { region: "east", epoch: 1 };

  async current() {
    return this.target;
  }

  async pointTo(target: { readonly region: string; readonly epoch: number }): Promise<void> {
    if (this.target !== undefined && this.target.epoch > target.epoch) {
      throw new DrError("EPOCH_CONFLICT", `the endpoint has seen epoch ${this.target.epoch}`);
    }
    this.target = target;
  }
}

/** A stack whose `up` takes the role that the epoch records say, as the real program does. */
export class FakeStacks implements Stacks {
  ups = 0;
  failures = 0;
  #region: Region;
  readonly #control: ObjectStoreReader;

  constructor(control: ObjectStoreReader, region: Region = regionNamed("west")) {
    this.#control = control;
    this.#region = region;
  }

  async region(): Promise<Region> {
    return this.#region;
  }

  async preview(): Promise<{ changes: Readonly<Record<string, number>> }> {
    return { changes: {} };
  }

  async up(): Promise<{ changes: Readonly<Record<string, number>> }> {
    this.ups += 1;
    if (this.failures > 0) {
      this.failures -= 1;
      throw new DrError("PULUMI_FAILED", "injected: the update failed");
    }
    const { role, epoch } = await readEffectiveRole(this.#region.region, this.#control);
    this.#region = { ...this.#region, role, epoch: epoch.epoch };
    return { changes: { update: 1 } };
  }
}

export function regionNamed(region: string): Region {
  return {
    contract: 1,
    region,
    peer: region === "west" ? "east" : "west",
    role: "standby",
    epoch: 1,
    objectives: { rtoMinutes: 30, rpoMinutes: 15 },
    configuration: [],
    userData: [],
    infrastructure: { stacks: [] },
    qdrant: { peers: ["http://127.0.0.1:1"], apiKey: "not used" },
    repository: { kind: "file", folder: "/not-used" },
    control: { kind: "file", folder: "/not-used" },
    keys: { recipients: ["age1-not-used", "age1-not-used-either"], identity: "AGE-SECRET-KEY-NOT-USED" },
    trust,
  };
}
