/** The collections that a run made, and their removal when it fails: a failed run leaves nothing that a later one trips over. */
import { DrError, toDrError } from "../../errors.ts";
import type { Progress } from "../../ports/progress.ts";
import type { CreationOutcome, VectorDatabase } from "../../ports/qdrant.ts";
import type { ApplyJournal } from "./journal.ts";
import type { ApplyPlan, WantedCollection } from "./plan-apply.ts";

const discardHint = "If nobody uses it, repeat the restore with --discard-unfinished";
const inUse = "It counts as in use: captures go on, and no later restore removes it";

interface RemovalTools {
  readonly target: VectorDatabase;
  readonly journal: ApplyJournal;
  readonly progress: Progress;
}

export class MadeCollections {
  readonly #tools: RemovalTools;
  readonly #plan: ApplyPlan;
  /** Made by this run, or half-made by one before it, as the plan says; in use by nobody. */
  readonly #removable: Set<string>;
  /** Loaded where clients look for them: they may hold writes that are nowhere else. */
  readonly #reachable = new Set<string>();
  /** Made by somebody else since the plan. */
  readonly #foreign = new Set<string>();
  #hasBegun = false;
  #isKept = false;

  constructor({ journal, progress, target }: RemovalTools, plan: ApplyPlan) {
    this.#tools = { journal, progress, target };
    this.#plan = plan;
    this.#removable = new Set(plan.collections.filter(({ action }) => action === "replace").map(({ name }) => name));
  }

  /** The journal is about to name the collections. */
  begin(): void {
    this.#hasBegun = true;
  }

  /** After an error without an outcome nobody knows whose a collection of the name is: it is not removed. */
  decided(name: string, outcome: CreationOutcome): void {
    if (outcome === "created") this.#removable.add(name);
    else this.#foreign.add(name);
  }

  /** Clients of the region's own Qdrant can write to a collection under its captured name from here on. */
  loaded({ captured, name }: WantedCollection): void {
    if (this.#plan.named !== undefined || name !== captured.name) return;
    this.#removable.delete(name);
    this.#reachable.add(name);
    this.#tools.journal.loaded(name);
  }

  removed(name: string): void {
    this.#removable.delete(name);
  }

  /** The collections are whole and compared, and may be used at any moment. */
  keep(): void {
    this.#isKept = true;
  }

  /**
   * Removes them and records the end, where the plan says so. What may be in use stays, and is no longer called half-made; what
   * cannot be removed stays with a record that has no end: captures are refused then, and the next run names it.
   */
  async takeBack(): Promise<void> {
    if (this.#plan.onFailure === "leave" || !this.#hasBegun) return;
    const { journal } = this.#tools;
    try {
      if (this.#isKept) {
        await journal.endInFailure("kept");
        this.#say(
          `all collections stay: they are as captured, and clients may use them already. Set the aliases that are missing yourself`,
        );
        return;
      }
      const left = (await this.#remove()).filter((name) => !this.#reachable.has(name) && !this.#foreign.has(name));
      if (left.length > 0) this.#say(`${left.join(", ")} is left: it may be somebody else's. ${discardHint}`);
      if (this.#foreign.size > 0) this.#say(`${[...this.#foreign].join(", ")} was made by somebody else: left alone`);
      const reachable = [...this.#reachable].join(", ");
      if (reachable !== "") {
        this.#say(
          `${reachable} stays: it was loaded, and clients may have written to it since. ${left.length > 0 ? "" : `${inUse}. `}To throw it away with such writes, delete it yourself and restore it again; to keep it, look first at what differs`,
        );
      }
      if (left.length > 0) return;
      await journal.endInFailure(reachable === "" ? "failed" : "kept");
      this.#say(reachable === "" ? "what this run had made is removed" : "what else this run had made is removed");
    } catch (error) {
      this.#say(`what this run had made may be left: ${toDrError(error).message}. ${discardHint}`);
    }
  }

  #say(detail: string): void {
    this.#tools.progress({ step: "clean", detail });
  }

  /** Names of the plan that stand on the target afterwards. */
  async #remove(): Promise<readonly string[]> {
    const { target } = this.#tools;
    const names = this.#plan.collections.map(({ name }) => name);
    if (await this.#isSameTarget()) for (const name of this.#removable) await target.deleteCollection(name);
    const present = await target.collections();
    return names.filter((name) => present.includes(name));
  }

  /** Throws TARGET_NOT_EMPTY: what another server holds under the names was not left half-made by a restore. */
  async refuseAnotherServer(): Promise<void> {
    if (await this.#isSameTarget()) return;
    throw new DrError(
      "TARGET_NOT_EMPTY",
      `another server answers at ${this.#plan.named?.name} since this was planned`,
      {
        hint: "nothing was changed. Look whose it is, and run it again",
      },
    );
  }

  /** Another server may answer at the address by now. */
  async #isSameTarget(): Promise<boolean> {
    const { named } = this.#plan;
    if (named === undefined) return true;
    const present = await this.#tools.target.processes();
    return present.some((process) => named.processes.includes(process));
  }
}
