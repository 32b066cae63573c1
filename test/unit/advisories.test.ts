import { expect } from "chai";
import { advisoriesOn } from "../../runtime/domain/settings/advisories.ts";
import { type KubernetesStackSettings, parseStackSettings } from "../../runtime/domain/settings/stack-settings.ts";
import { trust } from "../support/estates/test-trust.ts";

const digest = `sha256:${"a".repeat(64)}`;
const peer = { qdrant: { peers: ["https://qdrant-0.dr.example:6333"], apiKey: "" } };

function settingsOf(more: Record<string, unknown> = {}, qdrant: Record<string, unknown> = {}): KubernetesStackSettings {
  const settings = parseStackSettings("prod", {
    peer: "dr",
    trust,
    initialRole: "active",
    platform: "kubernetes",
    store: "s3",
    stores: { repository: { bucket: "points", region: "one" }, control: { bucket: "control", region: "one" } },
    kubernetes: {
      namespace: "qdrant",
      image: `a/b@${digest}`,
      recipients: ["age1operational", "age1recovery"],
      qdrant: { image: `a/c@${digest}`, storageGib: 1, ...qdrant },
      replicate: { everySeconds: 10, tiers: {} },
      ...more,
    },
  });
  if (settings.platform !== "kubernetes") throw new Error("not of a cluster");
  return settings;
}

const told = (settings: KubernetesStackSettings, other: Parameters<typeof advisoriesOn>[1]) =>
  advisoriesOn(settings, other).map(({ severity, text }) => `${severity}: ${text}`);

describe("advisories on a region's settings", () => {
  it("say the RPO from copied points alone, and how often the standby follows", () => {
    expect(told(settingsOf(), peer)[0]).to.equal(
      "info: RPO from copied recovery points alone: 480 min and the time they take; the standby follows every 10 s",
    );
    const tiers = { "archive-*": 60, now: 1 };
    expect(told(settingsOf({ replicate: { everySeconds: 10, tiers } }), peer)[0]).to.match(
      /; the standby follows every 10 s, archive-\* every 60 s, now every 1 s$/,
    );
    const often = settingsOf({
      schedules: { incremental: "*/5 * * * *", copy: "*/5 * * * *" },
      replicate: undefined,
    });
    expect(told(often, peer)[0]).to.equal("info: RPO from copied recovery points alone: 10 min and the time they take");
  });

  it("warn of a second key generation where the tag of Qdrant's image says that it knows one key only", () => {
    const advisories = (tag: string, keyGeneration: number) =>
      told(settingsOf({}, { image: `a.example:5000/c${tag}@${digest}`, keyGeneration }), peer).filter((text) =>
        text.includes("API key at a time"),
      );
    expect(advisories(":v1.16.3-unprivileged", 2)).to.have.lengthOf(1);
    for (const [tag, generation] of [
      [":v1.16.3-unprivileged", 1],
      [":v1.17.0", 2],
      [":v1.160.0", 2],
      ["", 2],
    ] as const) {
      expect(advisories(tag, generation), `${tag} ${generation}`).to.deep.equal([]);
    }
  });

  it("say how folders come to the other region, unless they follow", () => {
    const folders = {
      claims: [{ claim: "files", path: "/srv/files" }],
      replicate: { everySeconds: 10 },
    };
    const userData = [{ name: "files", path: "/srv/files" }];
    const advisories = (replicate: object) =>
      told({ ...settingsOf({ ...folders, replicate }), userData }, peer).filter((text) => text.includes("user data"));
    expect(advisories(folders.replicate)).to.have.lengthOf(1);
    expect(advisories({ everySeconds: 10, folders: true })).to.deep.equal([]);
    expect(told(settingsOf(folders), peer).join(), "without folders").not.to.contain("user data");
  });

  it("say what a store that is not AWS's does not do, and that clients have no name to follow", () => {
    const [, store, name, ...more] = told(settingsOf({ egressCidrs: ["10.0.0.0/8"] }), peer);
    expect(store).to.match(/^info: of the buckets nothing is declared or checked/);
    expect(name).to.match(/^info: no public name is declared/);
    expect(more).to.deep.equal([]);
    const annotated = {
      gate: { service: { annotations: { "external-dns.alpha.kubernetes.io/hostname": "a.example" } } },
    };
    expect(told(settingsOf(annotated), peer).join()).not.to.contain("public name");
  });

  it("say where pods may send to anywhere", () => {
    const infrastructure = { kubernetes: { namespaces: ["a"], kinds: [] } } as never;
    const open = told({ ...settingsOf(), infrastructure }, peer).join("\n");
    expect(open).to.contain("kubernetes.egressCidrs").and.to.contain("kubernetes.apiServerCidrs");
    const narrow = { egressCidrs: ["10.0.0.0/8"], apiServerCidrs: ["10.96.0.1/32"] };
    const closed = told({ ...settingsOf(narrow), infrastructure }, peer).join("\n");
    expect(closed).to.not.contain("egressCidrs").and.to.not.contain("apiServerCidrs");
  });

  it("warn of a region that is not told of the other one, of plain HTTP between them, and of a Qdrant with other ways in", () => {
    const existing = { urls: ["http://q"], serviceUrl: "http://q", namespace: "data", podLabels: { app: "q" } };
    const plain = { qdrant: { ...peer.qdrant, peers: ["http://qdrant-0.dr.example:6333"] } };
    const warnings = (lines: string[]) => lines.filter((line) => line.startsWith("warn")).join("\n");
    expect(warnings(told(settingsOf(), undefined))).to.match(/^warn: nothing is copied from or to dr yet[^\n]*$/);
    expect(warnings(told(settingsOf(), plain))).to.match(/^warn: the Qdrant of dr is reached over plain HTTP[^\n]*$/);
    expect(warnings(told(settingsOf({}, { existing }), peer))).to.match(/^warn: [^\n]* gets past the gate[^\n]*$/);
    expect(warnings(told(settingsOf(), peer))).to.equal("");
  });
});
