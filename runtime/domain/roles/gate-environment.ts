/** The environment of the gate's process. What declares a gate encodes it, the process parses it. */
import { z } from "zod";
import { DrError } from "../../errors.ts";
import { headerKeySchema } from "../header-key.ts";
import { storeAddressSchema } from "../region.ts";
import { serverUrlSchema } from "../server-address.ts";
import { mostLeaseSeconds } from "../settings/primitives.ts";
import { signingKeySchema } from "../trust/signing-key.ts";
import { trustSchema } from "../trust/trust.ts";
import { gateModes, otherKeys } from "./gate.ts";
import { gateJournalSchema } from "./gate-journal.ts";

/** A value that a variable holds as JSON. */
function json<Schema extends z.ZodType>(schema: Schema) {
  return z.codec(z.string(), schema, {
    decode: (text, context): z.input<Schema> => {
      try {
        return JSON.parse(text);
      } catch {
        // What the parser says repeats the text, which may be secret.
        context.issues.push({ code: "custom", input: text, message: "JSON is wanted" });
        return z.NEVER;
      }
    },
    encode: (value) => JSON.stringify(value),
  });
}

function number(schema: z.ZodNumber) {
  return z.codec(z.string(), schema, { decode: Number, encode: String });
}

const port = z.number().int().min(1).max(65_535);

const settingsSchema = z.object({
  QDRANT_DR_GATE_HOST: z.string().default("127.0.0.1"),
  QDRANT_DR_GATE_PORT: number(port),
  /** A second port, for clients that expect gRPC beside REST; either takes both. */
  QDRANT_DR_GATE_GRPC_PORT: number(port).optional(),
  QDRANT_DR_GATE_CONTROL_PORT: number(port),
  /** Where the control listens; where the gate does when left out. */
  QDRANT_DR_GATE_CONTROL_HOST: z.string().optional(),
  /** Files of a certificate and its key; in the clear when left out. */
  QDRANT_DR_GATE_TLS: json(z.object({ certificate: z.string(), key: z.string() })).optional(),
  /** In a cluster its control is asked within it alone. */
  QDRANT_DR_GATE_CONTROL_TLS: z.enum(["as clients", "none"]).optional(),
  QDRANT_DR_GATE_CONNECTIONS: number(z.number().int().min(1)).optional(),
  /** Of a client's request; those of administrators have no limit. */
  QDRANT_DR_GATE_BODY_BYTES: number(z.number().int().min(1)).optional(),
  QDRANT_DR_GATE_ANSWER_WITHIN_SECONDS: number(z.number().min(1)).optional(),
  /** What becomes of a key, or a token, that is none of the gate's own; refused when left out. */
  QDRANT_DR_GATE_OTHER_KEYS: z.enum(otherKeys).optional(),
  QDRANT_DR_GATE_REGION: z.string().min(1),
  QDRANT_DR_GATE_MODE: z.enum(gateModes).default("availability"),
  QDRANT_DR_GATE_LEASE_SECONDS: number(z.number().min(1).max(mostLeaseSeconds)).default(15),
  /** A file in which it keeps what it has seen of epochs and fences, over restarts. */
  QDRANT_DR_GATE_STATE: z.string().min(1),
  /** The other region's name. */
  QDRANT_DR_GATE_PEER: z.string().min(1).optional(),
  /** How it keeps its region's journal in the other region's repository; it keeps none when left out. */
  QDRANT_DR_GATE_JOURNAL: json(gateJournalSchema).optional(),
});

const secretsSchema = z.object({
  /** The region's Qdrant. */
  QDRANT_DR_GATE_UPSTREAM: json(
    z.object({ url: serverUrlSchema, grpcUrl: serverUrlSchema.optional(), apiKey: headerKeySchema.min(1) }),
  ),
  QDRANT_DR_GATE_CLIENT_KEY: headerKeySchema.min(16),
  QDRANT_DR_GATE_READ_ONLY_KEY: headerKeySchema.min(16).optional(),
  QDRANT_DR_GATE_ADMINISTRATOR_KEY: headerKeySchema.min(16).optional(),
  QDRANT_DR_GATE_CONTROL_TOKEN: headerKeySchema.min(16),
  /** The region's control store, and the other region's as far as this one may read it. */
  QDRANT_DR_GATE_CONTROL: json(storeAddressSchema),
  QDRANT_DR_GATE_PEER_CONTROL: json(storeAddressSchema).optional(),
  /** The third place, for the lease of the mode `consistency`. */
  QDRANT_DR_GATE_WITNESS: json(storeAddressSchema).optional(),
  /** The other region's repository, in which it creates objects of the journal. */
  QDRANT_DR_GATE_JOURNAL_STORE: json(storeAddressSchema).optional(),
  /** Who is believed about what the control stores hold. */
  QDRANT_DR_GATE_TRUST: json(trustSchema),
  /** Signs the leases. */
  QDRANT_DR_GATE_SIGNING_KEY: signingKeySchema.optional(),
});

const gateEnvironmentSchema = settingsSchema
  .extend(secretsSchema.shape)
  .refine((given) => given.QDRANT_DR_GATE_MODE === "availability" || given.QDRANT_DR_GATE_WITNESS !== undefined, {
    path: ["QDRANT_DR_GATE_WITNESS"],
    message: "the mode consistency wants a third place for its lease",
  })
  .refine(
    (given) =>
      given.QDRANT_DR_GATE_JOURNAL === undefined ||
      [given.QDRANT_DR_GATE_JOURNAL_STORE, given.QDRANT_DR_GATE_PEER, given.QDRANT_DR_GATE_SIGNING_KEY].every(Boolean),
    {
      path: ["QDRANT_DR_GATE_JOURNAL"],
      message: "a journal wants the other region's name and repository, and a signing key",
    },
  );
export type GateEnvironment = z.output<typeof gateEnvironmentSchema>;

/** The variables that hold nothing secret. */
export function encodeGateSettings(settings: z.output<typeof settingsSchema>): Record<string, string> {
  return withoutAbsent(z.encode(settingsSchema, settings));
}

export function encodeGateSecrets(secrets: z.output<typeof secretsSchema>): Record<string, string> {
  return withoutAbsent(z.encode(secretsSchema, secrets));
}

/** @throws SETTING_INVALID naming every variable that is wrong, and showing none. */
export function parseGateEnvironment(environment: Readonly<Record<string, string | undefined>>): GateEnvironment {
  const result = gateEnvironmentSchema.safeParse(environment);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ message, path }) => `${path.join(".")}: ${message}`);
  throw new DrError("SETTING_INVALID", `the gate's environment: ${problems.join("; ")}`, {
    hint: "set these variables for the gate's process: the stack that declares the gate does",
  });
}

function withoutAbsent(variables: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
