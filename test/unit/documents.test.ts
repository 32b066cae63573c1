import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect } from "chai";
import type { Command } from "commander";
import { leafCommands, readProgram, references } from "../../docs/references.ts";
import { deploymentFiles } from "../../package/deployment/files.ts";
import { alertsOf } from "../../runtime/domain/monitoring/alerts.ts";
import { kubernetesSchema } from "../../runtime/domain/settings/kubernetes-settings.ts";
import { retiredWordsIn } from "../support/documents/retired-words.ts";
import { checkout, documentPaths, shownCommands, toldToProduct } from "../support/documents/shown-commands.ts";

const read = (path: string) => readFileSync(join(checkout, path), "utf8");
const paths = documentPaths();
const files: ReadonlySet<string> = new Set(filesBelow(""));
const documents = new Map(paths.map((path) => [path, read(path)]));
const withoutCode = (text: string) => text.replaceAll(/^ *```.*?^ *```$/gms, "");

describe("documents", () => {
  it("README has at most 130 lines, none longer than 160 characters", () => {
    const lines = read("README.md").trimEnd().split("\n");
    expect(lines).to.have.length.at.most(130);
    expect(lines.filter((line) => line.length > 160)).to.deep.equal([]);
  });

  for (const [path, text] of documents) {
    it(`${path} links to files and headings that exist`, () => {
      for (const [, target = ""] of withoutCode(text).matchAll(/\]\((?!https?:|mailto:)([^)]+)\)/g)) {
        const [file = "", anchor] = target.split("#");
        const linked = file === "" ? path : normalize(join(dirname(path), file));
        expect(isThere(linked), `${linked}, to which ${path} links`).to.equal(true);
        if (anchor !== undefined) expect(anchorsOf(read(linked)), `headings of ${linked}`).to.include(anchor);
      }
    });

    it(`${path} uses no word that the glossary retires`, () => {
      expect(retiredWordsIn(path === "docs/concepts/glossary.md" ? beforeRetired(text) : text)).to.deep.equal([]);
    });
  }

  it("reach every document from the README", () => {
    const reached = new Set<string>();
    const follow = (path: string) => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const [, target = ""] of (documents.get(path) ?? "").matchAll(/\]\((?!https?:)([^)#]+)/g)) {
        follow(normalize(join(dirname(path), target)).replace(/\/$/, ""));
      }
    };
    follow("README.md");
    const isListed = (path: string) => reached.has(dirname(path)) && dirname(path) === "docs/adr";
    expect(paths.filter((path) => !reached.has(path) && !isListed(path))).to.deep.equal([]);
  });

  it("show npm scripts that exist", () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(read("package.json"));
    const shown = [...documents.values()].flatMap((text) =>
      [...text.matchAll(/\bnpm (?:run ([a-z:]+)|(test)\b)/g)].map(([, script, test]) => script ?? test),
    );
    expect(shown).to.include.members(["quickstart", "test"]);
    expect(Object.keys(scripts)).to.include.members(shown);
  });

  describe("commands", () => {
    const program = readProgram();
    const nameOf = (command: Command): string =>
      command.parent === program || command.parent === null
        ? command.name()
        : `${nameOf(command.parent)} ${command.name()}`;
    const shown = new Set(paths.flatMap(shownCommands).flatMap(({ line }) => toldToProduct(line) ?? []));
    for (const line of shown) {
      it(`are understood: ${line}`, async () => {
        const reached: string[] = [];
        const program = readProgram();
        for (const command of leafCommands(program))
          command.exitOverride().action(() => void reached.push(command.name()));
        await program.parseAsync(line.split(" "), { from: "user" });
        expect(reached).to.have.length(1);
      });
    }

    it("have only options that exist where a sentence or a table names them", () => {
      const known = new Map(leafCommands(program).map((command) => [nameOf(command), command.options]));
      const wrong: string[] = [];
      for (const [path, text] of documents) {
        for (const [span, name = "", told = ""] of text.matchAll(
          /`(?:\S*qdrant-dr )?([a-z][a-z -]*?[a-z])((?: -[^`]*)?)`/g,
        )) {
          const options = known.get(name)?.flatMap(({ long }) => long ?? []);
          const named = told.match(/--[a-z-]+/g) ?? [];
          if (options !== undefined && named.some((option) => !options.includes(option)))
            wrong.push(`${path}: ${span}`);
        }
      }
      expect(wrong).to.deep.equal([]);
    });

    it("are shown for each of the program's, in README or docs", () => {
      const missing = leafCommands(program)
        .map(nameOf)
        .filter((name) => name !== "quickstart" && ![...shown].some((line) => `${line} `.startsWith(`${name} `)));
      expect(missing).to.deep.equal([]);
    });

    it("use no word that the glossary retires in their help", () => {
      expect(retiredWordsIn(references().get("cli.md") ?? "")).to.deep.equal([]);
    });
  });

  it("are what `npm run docs` makes of the code now", () => {
    for (const [name, text] of references()) {
      expect(read(`docs/reference/${name}`), `docs/reference/${name} is stale: npm run docs`).to.equal(text);
    }
    for (const [name, text] of deploymentFiles()) {
      expect(read(`deploy/${name}`), `deploy/${name} is stale: npm run docs`).to.equal(text);
    }
    expect(filesBelow("deploy")).to.have.members([...deploymentFiles().keys()].map((name) => `deploy/${name}`));
  });

  it("have a section with all four parts for each alert, to which the alert leads", () => {
    const path = "docs/operations/runbooks/alerts.md";
    const sections = new Map(
      read(path)
        .split(/^## /m)
        .slice(1)
        .map((section) => [section.split("\n")[0] ?? "", section]),
    );
    const alerts = allAlerts();
    expect([...sections.keys()]).to.have.members(alerts.map(({ alert }) => alert));
    for (const { alert, annotations } of alerts) {
      for (const part of ["How it shows.", "Check.", "Do.", "Over when"]) {
        expect(sections.get(alert), alert).to.contain(`**${part}`);
      }
      expect(annotations.runbook_url).to.equal(`${path}#${alert.toLowerCase()}`);
    }
  });

  it("have a runbook with all four parts for each scenario", () => {
    const scenarios = paths.filter((path) => /runbooks\/(?!index|alerts)/.test(path));
    expect(scenarios).to.have.length(10);
    for (const path of scenarios) {
      for (const part of ["How it shows.", "Check", "Do.", "Over when"]) {
        expect(read(path), path).to.contain(`**${part}`);
      }
      expect(read(path).match(/[\p{L}\p{N}]+/gu), path).to.have.length.at.most(350);
    }
  });
});

describe("an alert's runbook", () => {
  it("uses no word that the glossary retires, and neither does the rest of the alert", () => {
    const texts = allAlerts().flatMap(({ annotations }) => Object.values(annotations));
    expect(retiredWordsIn(texts.join("\n"))).to.deep.equal([]);
  });

  it("is at the address that the settings give", () => {
    const [first] = alertsOf({
      region: "dr",
      peer: undefined,
      namespace: "search",
      hasGate: true,
      objectives: { rpoMinutes: 15 },
      schedules: kubernetesSchema.shape.schedules.parse({}),
      replicate: undefined,
      runbooks: "https://git.example/runbooks/",
    });
    expect(first?.annotations.runbook_url).to.equal(
      `https://git.example/runbooks/alerts.md#${first?.alert.toLowerCase()}`,
    );
  });
});

/** Of a region that has another one, which follows. */
function allAlerts() {
  return alertsOf({
    region: "dr",
    peer: "prod",
    namespace: "search",
    hasGate: true,
    objectives: { rpoMinutes: 15 },
    schedules: kubernetesSchema.shape.schedules.parse({}),
    replicate: { everySeconds: 10, tiers: {} },
  });
}

function beforeRetired(glossary: string): string {
  return glossary.split("## Words we no longer use")[0] ?? "";
}

/** As GitHub makes anchors of headings. */
function anchorsOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\- ]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function isThere(path: string): boolean {
  return files.has(path) || [...files].some((file) => file.startsWith(`${path.replace(/\/$/, "")}/`));
}

/** Of the folders that documents link to. */
function filesBelow(folder: string): string[] {
  return readdirSync(join(checkout, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (["node_modules", ".git"].includes(entry.name)) return [];
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}
