import { expect } from "chai";
import fc from "fast-check";
import type { StoreAddress } from "../../runtime/domain/region.ts";
import {
  encodeGateSecrets,
  encodeGateSettings,
  type GateEnvironment,
  parseGateEnvironment,
} from "../../runtime/domain/roles/gate-environment.ts";
import { DrError } from "../../runtime/errors.ts";
import { signing, trust } from "../support/estates/test-trust.ts";

const environment: GateEnvironment = {
  QDRANT_DR_GATE_HOST: "0.0.0.0",
  QDRANT_DR_GATE_PORT: 6333,
  QDRANT_DR_GATE_GRPC_PORT: 6334,
  QDRANT_DR_GATE_CONTROL_PORT: 6435,
  QDRANT_DR_GATE_CONTROL_TLS: "none",
  QDRANT_DR_GATE_TLS: { certificate: "/tls/tls.crt", key: "/tls/tls.key" },
  QDRANT_DR_GATE_CONNECTIONS: 10,
  QDRANT_DR_GATE_BODY_BYTES: 1_024,
  QDRANT_DR_GATE_ANSWER_WITHIN_SECONDS: 1.5,
  QDRANT_DR_GATE_OTHER_KEYS: "pass",
  QDRANT_DR_GATE_REGION: "prod",
  QDRANT_DR_GATE_MODE: "consistency",
  QDRANT_DR_GATE_LEASE_SECONDS: 2.5,
  QDRANT_DR_GATE_STATE: "/state/seen.json",
  QDRANT_DR_GATE_PEER: "dr",
  QDRANT_DR_GATE_TRUST: trust,
  QDRANT_DR_GATE_SIGNING_KEY: signing,
  QDRANT_DR_GATE_UPSTREAM: { url: "https://qdrant.example:6333/below", apiKey: 'a "key", with {signs}' },
  QDRANT_DR_GATE_CLIENT_KEY: "the-key-of-all-clients",
  QDRANT_DR_GATE_READ_ONLY_KEY: "the-key-that-only-reads",
  QDRANT_DR_GATE_ADMINISTRATOR_KEY: "the-key-of-administrators",
  QDRANT_DR_GATE_CONTROL_TOKEN: "the-token-of-operators",
  QDRANT_DR_GATE_CONTROL: { kind: "file", folder: "/control" },
  QDRANT_DR_GATE_PEER_CONTROL: { kind: "s3", bucket: "dr-control", region: "eu-2" },
  QDRANT_DR_GATE_WITNESS: {
    kind: "s3",
    bucket: "witness",
    region: "eu-3",
    endpoint: "https://s3.example",
    credentials: { accessKeyId: "access-key-id", secretAccessKey: "secret-access-key" },
  },
};

/** As a component writes it: what is secret apart from what is not. */
const encoded = (given: GateEnvironment) => ({ ...encodeGateSettings(given), ...encodeGateSecrets(given) });

describe("environment of the gate", () => {
  it("is read as it was written, whatever it holds", () => {
    expect(parseGateEnvironment(encoded(environment))).to.deep.equal(environment);
    const isQuoted = (text: string) => /^(["'`]).*\1$/.test(text);
    const key = fc.stringMatching(/^[\x21-\x7e][\x20-\x7e]{14,40}[\x21-\x7e]$/).filter((text) => !isQuoted(text));
    const store: fc.Arbitrary<StoreAddress> = fc.oneof(
      fc.record({ kind: fc.constant("file" as const), folder: fc.string({ minLength: 1 }) }),
      fc.record(
        {
          kind: fc.constant("s3" as const),
          bucket: fc.stringMatching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
          region: fc.string(),
          endpoint: fc.webUrl(),
          credentials: fc.record({ accessKeyId: key, secretAccessKey: key }),
        },
        { requiredKeys: ["kind", "bucket", "region"] },
      ),
    );
    const any = fc.record(
      {
        QDRANT_DR_GATE_HOST: fc.ipV6(),
        QDRANT_DR_GATE_PORT: fc.integer({ min: 1, max: 65_535 }),
        QDRANT_DR_GATE_CONTROL_PORT: fc.integer({ min: 1, max: 65_535 }),
        QDRANT_DR_GATE_REGION: fc.string({ minLength: 1 }),
        QDRANT_DR_GATE_MODE: fc.constant("availability" as const),
        QDRANT_DR_GATE_TRUST: fc.constant(trust),
        QDRANT_DR_GATE_LEASE_SECONDS: fc.double({ min: 1, max: 300, noNaN: true }),
        QDRANT_DR_GATE_STATE: fc.string({ minLength: 1 }),
        QDRANT_DR_GATE_UPSTREAM: fc.record({ url: fc.webUrl(), apiKey: key }),
        QDRANT_DR_GATE_CLIENT_KEY: key,
        QDRANT_DR_GATE_CONTROL_TOKEN: key,
        QDRANT_DR_GATE_CONTROL: store,
        QDRANT_DR_GATE_PEER_CONTROL: store,
        QDRANT_DR_GATE_WITNESS: store,
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(any, (given) => {
        expect(parseGateEnvironment(encoded(given))).to.deep.equal(given);
      }),
      { seed: 1 },
    );
  });

  it("has no variable for what is not there", () => {
    const { QDRANT_DR_GATE_PEER_CONTROL: _, QDRANT_DR_GATE_WITNESS: __, ...least } = environment;
    const alone: GateEnvironment = { ...least, QDRANT_DR_GATE_MODE: "availability" };
    const variables = encoded({ ...alone, QDRANT_DR_GATE_PEER_CONTROL: undefined });
    expect(variables).to.not.have.any.keys("QDRANT_DR_GATE_PEER_CONTROL", "QDRANT_DR_GATE_WITNESS");
    expect(parseGateEnvironment(variables)).to.deep.equal(alone);
  });

  it("nothing secret is among the variables that are not", () => {
    const plain = JSON.stringify(encodeGateSettings(environment));
    for (const secret of ["signs", "the-key-of", "the-token-of", "secret-access-key"])
      expect(plain).not.to.contain(secret);
  });

  it("is refused naming each variable that is wrong, and showing none of what they hold", () => {
    const { QDRANT_DR_GATE_REGION: _, QDRANT_DR_GATE_WITNESS: __, ...variables } = encoded(environment);
    const refused = refusalOf({
      ...variables,
      QDRANT_DR_GATE_PORT: "http",
      QDRANT_DR_GATE_LEASE_SECONDS: "301",
      QDRANT_DR_GATE_CONTROL: '{"kind":"secret-of-the-store',
      QDRANT_DR_GATE_UPSTREAM: '{"url":"http://user:password@qdrant.example","apiKey":""}',
    });
    expect(refused.code).to.equal("SETTING_INVALID");
    for (const name of ["REGION", "PORT", "LEASE_SECONDS", "CONTROL", "UPSTREAM.url", "UPSTREAM.apiKey"])
      expect(refused.message).to.contain(`QDRANT_DR_GATE_${name}: `);
    expect(refused.message).not.to.match(/secret-of|password@|the-key|the-token/);
    const { message } = refusalOf({ ...variables, QDRANT_DR_GATE_REGION: "prod" });
    expect(message).to.contain("QDRANT_DR_GATE_WITNESS: the mode consistency wants a third place");
  });
});

function refusalOf(variables: Record<string, string>): DrError {
  try {
    parseGateEnvironment(variables);
  } catch (error) {
    if (error instanceof DrError) return error;
    throw error;
  }
  throw new Error("it was taken");
}
