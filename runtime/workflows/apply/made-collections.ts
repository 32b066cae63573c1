/** The collections that a run made, and their removal when it fails: a failed run leaves nothing that a later one trips over. */
import { toDrError } from "../../errors.ts";
import type { Progress } from "../../ports/progress.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { ApplyJournal } from "./journal.ts";
import type { ApplyPlan } from "./plan-apply.ts";

const discardHint = "If nobody uses it, repeat the restore with --discard-unfinished";

interface RemovalTools {
  readonly target: VectorDatabase;
  readonly journal: ApplyJournal;
  readonly progress: Progress;
}

export class MadeCollections {
  readonly #tools: RemovalTools;
  readonly #plan: ApplyPlan;
  /** Made by this run, or half-made by one before it, as the plan says. */
  readonly #own: Set<string>;
  #hasBegun = false;
  #isKept = false;

  constructor({ journal, progress, target }: RemovalTools, plan: ApplyPlan) {
    this.#tools = { journal, progress, target };
    this.#plan = plan;
    this.#own = new Set(plan.collections.filter(({ action }) => action === "replace").map(({ name }) => name));
  }

  /** The journal is about to name the collections. */
  begin(): void {
    this.#hasBegun = true;
  }

  /** After an error of the creation nobody knows whose a collection of the name is: only what succeeds is the run's own. */
  created(name: string): void {
    this.#own.add(name);
  }

  removed(name: string): void {
    this.#own.delete(name);
  }

  /** The collections are whole and compared, and may be used at any moment. */
  keep(): void {
    this.#isKept = true;
  }

  /**
   * Removes them and records the end, where the plan says so. What cannot be removed stays with a record that has no end:
   * captures are refused then, and the next run names it.
   */
  async takeBack(): Promise<void> {
    if (this.#plan.onFailure === "leave" || !this.#hasBegun || this.#isKept) return;
    const { journal, progress } = this.#tools;
    try {
      const left = await this.#removeOwn();
      if (left.length > 0) {
        progress({ step: "clean", detail: `${left.join(", ")} is left: it may be somebody else's. ${discardHint}` });
        return;
      }
      await journal.endInFailure();
      progress({ step: "clean", detail: "what this run had made is removed" });
    } catch (error) {
      progress({
        step: "clean",
        detail: `what this run had made may be left: ${toDrError(error).message}. ${discardHint}`,
      });
    }
  }

  /** Names of the plan that stand on the target afterwards. */
  async #removeOwn(): Promise<readonly string[]> {
    const { target } = this.#tools;
    const names = this.#plan.collections.map(({ name }) => name);
    if (await this.#isSameTarget()) for (const name of this.#own) await target.deleteCollection(name);
    const present = await target.collections();
    return names.filter((name) => present.includes(name));
  }

  /** Another server may answer at the address by now. */
  async #isSameTarget(): Promise<boolean> {
    const { named } = this.#plan;
    if (named === undefined) return true;
    const present = await this.#tools.target.processes();
    return present.some((process) => named.processes.includes(process));
  }
}
