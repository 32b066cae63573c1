/** A region as it is asked from outside, where anything may be gone, hang or answer nonsense. */
import { within } from "../../domain/within.ts";
import { DrError } from "../../errors.ts";
import type { TrafficControl, VectorDatabase } from "../../ports.ts";
import { readNewestPoint } from "../../repository/read-catalog.ts";
import type { OpenRepository, RegionStores } from "../../repository/repository.ts";

export interface ObservedRegion {
  readonly region: string;
  readonly stores: RegionStores;
  readonly database: VectorDatabase;
  /** Qdrant as clients come to it; absent where there is no public name. */
  readonly publicDatabase: VectorDatabase | undefined;
  repository(): Promise<OpenRepository>;
  /** Throws where there is no public name. */
  traffic(): TrafficControl;
}

/** What `readNewestPoint` found, and where. */
export type FoundPoint = Awaited<ReturnType<typeof readNewestPoint>> & { readonly repository: OpenRepository };

export function findNewestPoint(observed: ObservedRegion, { readingMs }: Patience): Promise<Outcome<FoundPoint>> {
  return ask(readingMs, "the repository", async () => {
    const repository = await observed.repository();
    return { repository, ...(await readNewestPoint(repository)) };
  });
}

/** How long silence is borne. */
export interface Patience {
  /** For an answer that takes no work. */
  readonly answerMs: number;
  /** For listings of all that a repository holds. */
  readonly readingMs: number;
}

export const patience: Patience = { answerMs: 3_000, readingMs: 60_000 };

export type Outcome<T> = { readonly value: T } | { readonly problem: string; readonly error: unknown };

/** What a question came to; never throws, and never takes longer than `ms`. */
export async function ask<T>(ms: number, what: string, question: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await within(ms, what, question) };
  } catch (error) {
    // A parser's words are about our schema, and may repeat what was answered.
    const problem = error instanceof DrError ? error.message : `${what} answers what cannot be understood`;
    return { problem, error };
  }
}
