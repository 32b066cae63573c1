import { expect } from "chai";
import {
  awsSettingsProblems,
  awsSettingsSchema,
  parseBootstrapSettings,
} from "../../runtime/domain/settings/aws-settings.ts";

const aws = {
  account: "111122223333",
  region: "eu-west-1",
  keyArn: "arn:aws:kms:eu-west-1:111122223333:key/mrk-1",
  peer: {
    repository: "prod-points",
    control: "prod-control",
    keyArn: "arn:aws:kms:eu-central-1:111122223333:key/mrk-1",
  },
  cluster: { podIdentity: { name: "search" } },
};
const stores = {
  repository: { bucket: "dr-points", region: "eu-west-1" },
  control: { bucket: "dr-control", region: "eu-west-1" },
};
const bootstrap = {
  account: "111122223333",
  prefix: "example-qdr",
  regions: {
    prod: { region: "eu-central-1", longestLockDays: 30 },
    dr: { region: "eu-west-1", longestLockDays: 365 },
  },
  initialActive: "prod",
};

describe("settings of AWS", () => {
  it("what fits together is accepted, and gets no tags", () => {
    const settings = awsSettingsSchema.parse(aws);
    expect(settings).to.deep.equal({ ...aws, tags: {} });
    expect(awsSettingsProblems(settings, stores)).to.deep.equal([]);
  });

  const slips: [what: string, settings: object, given: typeof stores, path: string][] = [
    [
      "a store in another region",
      {},
      { ...stores, control: { bucket: "c", region: "us-east-1" } },
      "stores.control.region",
    ],
    [
      "an endpoint",
      {},
      { ...stores, repository: { bucket: "r", region: "eu-west-1", endpoint: "http://s3" } as never },
      "stores.repository.endpoint",
    ],
    ["a key elsewhere", { keyArn: aws.peer.keyArn }, stores, "aws.keyArn"],
    ["the peer's key here", { peer: { ...aws.peer, keyArn: aws.keyArn } }, stores, "aws.peer.keyArn"],
    ["its own bucket as the peer's", { peer: { ...aws.peer, repository: "dr-points" } }, stores, "aws.peer.repository"],
  ];
  for (const [what, change, given, path] of slips) {
    it(`refuses ${what}`, () => {
      const problems = awsSettingsProblems(awsSettingsSchema.parse({ ...aws, ...change }), given);
      expect(problems.map((problem) => problem.path.join("."))).to.deep.equal([path]);
    });
  }

  const refused: [setting: string, value: unknown][] = [
    ["account", "1111"],
    ["region", "Ireland"],
    ["keyArn", "alias/qdrant-dr"],
    ["cluster", {}],
    ["cluster", { podIdentity: { name: "search" }, irsa: { issuer: "example.com" } }],
    ["cluster", { irsa: { issuer: "https://oidc.example" } }],
    ["bucket", "own"],
  ];
  for (const [setting, value] of refused) {
    it(`refuses ${setting} ${JSON.stringify(value)}`, () => {
      expect(awsSettingsSchema.safeParse({ ...aws, [setting]: value }).success).to.equal(false);
    });
  }
});

describe("settings of the bootstrap", () => {
  it("fills in compliance, two years for evidence, 30 days for old versions, and no replication of points", () => {
    expect(parseBootstrapSettings("estate", bootstrap)).to.deep.equal({
      ...bootstrap,
      lockMode: "compliance",
      auditLockDays: 730,
      noncurrentDays: 30,
      replication: false,
      images: false,
      tags: {},
    });
  });

  it("takes numbers and yes or no as Pulumi hands them on: as text", () => {
    const settings = parseBootstrapSettings("estate", {
      ...bootstrap,
      auditLockDays: "365",
      noncurrentDays: "7",
      replication: "false",
    });
    expect(settings).to.include({ auditLockDays: 365, noncurrentDays: 7, replication: false });
  });

  const oneRegion = { prod: bootstrap.regions.prod };
  const sameRegion = { ...bootstrap.regions, dr: { region: "eu-central-1", longestLockDays: 30 } };
  const table: [what: string, change: object, said: string][] = [
    ["one region", { regions: oneRegion }, "regions: two regions"],
    ["both in one AWS region", { regions: sameRegion }, "two AWS regions"],
    ["an active region that is none", { initialActive: "us" }, "initialActive: one of prod, dr"],
    ["a prefix too long for bucket names", { prefix: "a".repeat(20) }, "prefix: 3 to 19"],
    ["an account without quotes", { account: 111122223333 }, "account:"],
    ["a lock of no days", { auditLockDays: 0 }, "auditLockDays:"],
    ["every role as break glass", { breakGlassArn: "arn:aws:iam::111122223333:role/*" }, "breakGlassArn: the ARN"],
    [
      "break glass in another account",
      { breakGlassArn: "arn:aws:iam::444455556666:root" },
      "breakGlassArn: of the account",
    ],
    ["a mode that does not exist", { lockMode: "none" }, "lockMode:"],
    ["a slip in a name", { lockdays: 3 }, "lockdays"],
  ];
  for (const [what, change, said] of table) {
    it(`refuses ${what}, and says what is allowed`, () => {
      expect(() => parseBootstrapSettings("estate", { ...bootstrap, ...change })).to.throw(said);
    });
  }
});
