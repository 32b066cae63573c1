/**
 * What a collection's strict mode lets anybody ask (`StrictModeConfig`, lib/segment/src/types.rs, v1.16.3). It holds for
 * backups as for every client, so that they ask less at a time, or less exactly.
 */
import { z } from "zod";
import { readAnswer } from "../read-answer.ts";

export interface StrictMode {
  /** Points in one answer. */
  readonly maxLimit: number;
  readonly maxTimeoutSeconds: number;
  /** Points that are asked for by their ids, in one request. */
  readonly maxReads: number;
  readonly allowsExact: boolean;
}

export const notStrict: StrictMode = {
  maxLimit: Infinity,
  maxTimeoutSeconds: Infinity,
  maxReads: Infinity,
  allowsExact: true,
};

/** Beyond 2^53 a bigint; rounded, it allows as much. */
const limit = z.union([z.number(), z.bigint().transform(Number)]).nullish();

const configSchema = z.object({
  strict_mode_config: z
    .object({
      enabled: z.boolean().nullish(),
      max_query_limit: limit,
      max_timeout: limit,
      read_rate_limit: limit,
      search_allow_exact: z.boolean().nullish(),
    })
    .nullish(),
});

/** @param config of the collection, as `GET /collections/{name}` answers it. */
export function strictModeIn(config: unknown): StrictMode {
  const { strict_mode_config: strict } = readAnswer(configSchema, config, "the strict mode of a collection");
  // Each counts as a read, and what is more than a minute's reads is refused for good; also while the mode is off.
  const maxReads = strict?.read_rate_limit ?? Infinity;
  if (strict?.enabled !== true) return maxReads === Infinity ? notStrict : { ...notStrict, maxReads };
  return {
    maxLimit: strict.max_query_limit ?? Infinity,
    maxTimeoutSeconds: strict.max_timeout ?? Infinity,
    maxReads,
    allowsExact: strict.search_allow_exact !== false,
  };
}
