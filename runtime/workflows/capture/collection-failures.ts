/** Decides what the failure of one collection means for a capture: the collection went, it alone cannot be captured, or nothing can be. */
import { missingBecause } from "../../domain/recovery-points/missing.ts";
import type { Missing } from "../../domain/recovery-points/recovery-point.ts";
import { type ErrorCode, hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { whatBecameOf } from "./collection-existence.ts";

/** Said of one collection by the Qdrant that holds it, whatever it says of others. */
const ofCollection = ["QDRANT_REFUSED", "ANSWER_UNREADABLE", "CAPTURE_INCOMPLETE", "NOT_SUPPORTED"] as const;
/** May be said of everything, and by the store as well: the collection is asked again for itself. */
const ofAnything = ["UNREACHABLE", "ACCESS_DENIED", "TIMED_OUT"] as const satisfies readonly ErrorCode[];

export interface FailureContext {
  readonly clock: Clock;
  readonly database: VectorDatabase;
  /** A capture that must hold everything fails with its first part. */
  readonly mustBeWhole: boolean;
}

export class CollectionFailures {
  readonly #context: FailureContext;

  constructor(context: FailureContext) {
    this.#context = context;
  }

  /** Undefined when the collection was dropped. Throws the error when it is not about this collection alone. */
  async judge(collection: string, error: unknown): Promise<Missing | undefined> {
    const became = await whatBecameOf(this.#context, collection, error);
    if (became === "dropped") return undefined;
    if (became === "unknown" || this.#context.mustBeWhole || !(await this.#isOfCollection(collection, error))) {
      throw error;
    }
    return missingBecause({ kind: "qdrant", name: collection }, error);
  }

  async #isOfCollection(collection: string, error: unknown): Promise<boolean> {
    if (hasCode(error, ...ofCollection)) return true;
    if (!hasCode(error, ...ofAnything)) return false;
    const { database } = this.#context;
    try {
      await Promise.all([database.describe(collection), database.layout(collection)]);
      return false;
    } catch {
      return true;
    }
  }
}
