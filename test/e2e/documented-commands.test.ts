/**
 * Runs the commands that README and docs/ show, document by document, on a practice estate with both regions up. Elsewhere run: those of
 * README and the tutorial (quickstart.test.ts), those that install the product (package.test.ts), and those of a failover or that a runbook shows too (runbooks.test.ts).
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { expect } from "chai";
import { s3ClientSettings } from "../../runtime/adapters/stores/s3-store.ts";
import {
  checkout,
  documentPaths,
  type ShownCommand,
  shownCommands,
  toldToProduct,
} from "../support/documents/shown-commands.ts";
import { idsIn, PracticePair, type RunOptions } from "../support/estates/practice-pair.ts";
import { clientOf, databaseOf, emptied } from "../support/estates/recovery-practice.ts";

/** Why a command is not run, only held against the options of its program. */
const onlyParsed: readonly (readonly [RegExp, string])[] = [
  [/^pulumi /, "it changes a stack in a cluster or in AWS"],
  [/ --context /, "it needs a cluster"],
  [/^qdrant-dr (init |restore( --test .*)?$)/, "own-qdrant.test.ts does the same on a Qdrant without a stack"],
  [/^qdrant-dr (serve|logs|alerts test)\b/, "serve.test.ts does the same on a Qdrant without a stack"],
  [/^qdrant-dr prune( --plan| --json)?$/, "prune-command.test.ts does the same, with a clock that passes days"],
  [/^qdrant-dr recovery-points keep /, "prune-command.test.ts does the same on a region that is pruned"],
  [/^qdrant-dr export kubernetes /, "export-kubernetes.test.ts does the same, and runs what the manifests run"],
  [/^qdrant-dr prune --stream$/, "prune-stream.test.ts does the same, with a clock that passes hours"],
];
/** Documents whose commands run in another test, or are not for users of the product. */
const runElsewhere = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "docs/how-to/two-machines.md",
  "docs/tutorials/own-qdrant.md",
  "docs/tutorials/quickstart.md",
  "docs/how-to/fail-over.md",
  "docs/how-to/fail-over-from-elsewhere.md",
  "docs/how-to/install.md",
];
const runbooks = "docs/operations/runbooks/";

interface Need {
  /** Done before it; answers how it is run, where that depends. */
  readonly prepare?: () => Promise<RunOptions | undefined>;
  readonly run?: RunOptions;
  /** Looks, as a client would, whether it did what it should. */
  readonly check?: () => Promise<unknown>;
}

describe("the commands of README and docs/", function () {
  this.timeout(300_000);
  const shown = documentPaths().flatMap(shownCommands);
  const ofRunbooks = new Set(shown.filter(({ document }) => document.startsWith(runbooks)).map(asOne));
  const mine = shown.filter(({ document }) => !runElsewhere.includes(document) && !document.startsWith(runbooks));
  const parsed = mine.filter(({ line }) => onlyParsed.some(([pattern]) => pattern.test(line)));
  const run = firstOfEach(mine.filter((command) => !parsed.includes(command) && !ofRunbooks.has(asOne(command))));
  let pair: PracticePair;

  before(async () => {
    pair = await PracticePair.start();
    // Documents show commands for a region that has recovery points.
    await pair.run("qdrant-dr backup --stack prod --type full");
    await pair.run("qdrant-dr replicate --from prod --to dr --once");
  });
  after(() => pair?.stop());

  const deleteNotes = async () => {
    await pair.client.deleteCollection("notes");
    return undefined;
  };
  const emptyThrowaway = async () => {
    await emptied(databaseOf(pair.throwaway));
    return undefined;
  };
  const throwawayHasAll = async () => {
    for (const collection of ["notes", "docs"]) {
      expect(await idsIn(clientOf(pair.throwaway), collection), collection).to.have.length(300);
    }
  };
  const foldersAreRestored = async () => {
    for (const [folder, text] of Object.entries({ application: "config", users: "users" })) {
      const restored = readFileSync(join(pair.restored, folder, "first.txt"), "utf8");
      expect(restored).to.equal(`${text} of the application`);
    }
    rmSync(pair.restored, { recursive: true });
  };
  const listedOfProd = async (): Promise<readonly { readonly id: string; readonly state: string }[]> => {
    const said = await pair.run("qdrant-dr recovery-points list --stack prod --json 2> /dev/null");
    return JSON.parse(said).recoveryPoints;
  };
  const firstOfProd = async () => (await listedOfProd())[0]?.id;
  const saysCycle = { until: /"step":"replicate","detail":"(?!there is no collection)/ };

  /** What a command needs beside names: how it is run, what is done before it, and what a client finds after it. */
  const needs: Readonly<Record<string, Need>> = {
    "qdrant-dr replicate --from prod --to dr --every 10": { run: saysCycle },
    "qdrant-dr replicate --from prod --to dr --every 10 --tier archive-*=60": { run: saysCycle },
    "qdrant-dr replicate --from prod --to dr --half capture": { run: saysCycle },
    "qdrant-dr replicate --from prod --to dr --half apply": { run: saysCycle },
    "qdrant-dr replicate --from prod --to dr --journal": { run: saysCycle },
    "qdrant-dr replicate --from prod --to dr --only qdrant,config,user-data": { run: saysCycle },
    "qdrant-dr exporter --stack dr --host 0.0.0.0 --port 9464": { run: { until: /"step":"serve"/, exitCode: 0 } },
    "qdrant-dr restore --stack prod --recovery-point 2026-05-31T14:30:00Z --collections notes --dry-run": {
      prepare: deleteNotes,
    },
    "qdrant-dr restore --stack prod --recovery-point 2026-05-31T14:30:00Z --collections notes": {
      check: async () => expect(await pair.ids("current-notes")).to.have.length(300),
    },
    "qdrant-dr restore --stack prod --recovery-point 2026-05-31T14:30:00Z --collections notes --as notes_2 --swap-alias current-notes":
      {
        prepare: async () => {
          await pair.client.delete("notes", { wait: true, points: [1, 2, 3] });
          return undefined;
        },
        check: async () => expect(await pair.ids("current-notes")).to.have.length(300),
      },
    "qdrant-dr restore --stack prod --recovery-point 2026-05-31T14:30:00Z --collections notes --as notes_may": {
      check: async () => expect(await pair.ids("notes_may")).to.have.length(300),
    },
    "QDRANT_API_KEY=… qdrant-dr restore --stack prod --to http://10.0.0.5:6333,http://10.0.0.6:6333": {
      prepare: emptyThrowaway,
      check: throwawayHasAll,
    },
    "QDRANT_API_KEY=… qdrant-dr drill --to dr --throwaway http://10.0.0.9:6333": {
      prepare: emptyThrowaway,
      check: async () => expect(await databaseOf(pair.throwaway).collections()).to.deep.equal([]),
    },
    "qdrant-dr restore --stack prod --only config,user-data --into /tmp/restored": { check: foldersAreRestored },
    "qdrant-dr recovery-points quarantine --stack prod --recovery-point ID --because stored-after-the-theft": {
      prepare: async () => ({ recoveryPoint: await firstOfProd() }),
    },
    "QDRANT_API_KEY=… qdrant-dr restore --stack prod --recovery-point ID --although-quarantined --to http://10.0.0.9:6333":
      {
        prepare: async () => {
          await emptyThrowaway();
          return { recoveryPoint: await firstOfProd() };
        },
        check: throwawayHasAll,
      },
    "qdrant-dr recovery-points release --stack prod --recovery-point ID --because our-own-test": {
      prepare: async () => ({ recoveryPoint: await firstOfProd() }),
      check: async () => expect((await listedOfProd())[0]?.state).to.equal("complete"),
    },
    "qdrant-dr doctor --store ./backups": {
      prepare: async () => {
        mkdirSync(join(pair.folder, "backups"));
        return undefined;
      },
    },
    "bin/qdrant-dr estate init --foundation foundation.json --signing-key-file alice.signing-key": {
      prepare: () => writeFoundation(pair),
    },
  };

  it("are run by a test, or are told here why they are only parsed", () => {
    for (const [pattern, why] of onlyParsed) {
      expect(
        parsed.some(({ line }) => pattern.test(line)),
        `a command that is only parsed, because ${why}`,
      ).to.equal(true);
    }
    expect(Object.keys(needs).filter((line) => !run.some((command) => command.line === line))).to.deep.equal([]);
    expect(mine.filter(({ line }) => toldToProduct(line) === undefined && !line.startsWith("pulumi "))).to.deep.equal(
      [],
    );
  });

  for (const document of new Set(run.map((command) => command.document))) {
    it(`succeed as ${document} shows them`, async () => {
      for (const { line } of run.filter((command) => command.document === document)) {
        const { check, prepare, run: options } = needs[line] ?? {};
        const prepared = await prepare?.();
        await pair.run(line, { ...options, ...prepared });
        await check?.();
      }
    });
  }

  it("for the Pulumi CLI are understood by it", () => {
    for (const { line } of parsed.filter((command) => command.line.startsWith("pulumi "))) {
      // Options that it does not know are refused before its help is shown.
      execFileSync("bash", ["-c", `${line.replace(/ [<>] \S+$/, "")} --help`], { cwd: checkout, stdio: "pipe" });
    }
  });
});

/** Two lines are one command when the program is told the same, however it is called. */
function asOne({ line }: ShownCommand): string {
  return toldToProduct(line) ?? line;
}

function firstOfEach(commands: readonly ShownCommand[]): ShownCommand[] {
  const ran = new Set<string>();
  return commands.filter((command) => ran.size < ran.add(asOne(command)).size);
}

/** The file that docs/how-to/kubernetes.md shows, and the buckets that it names, in a store of the practice. */
async function writeFoundation({ folder, regions }: PracticePair): Promise<RunOptions> {
  const { repository } = regions.primary;
  if (repository.kind !== "s3") throw new Error("the practice has S3 stores");
  const { credentials, endpoint } = repository;
  const page = readFileSync(join(checkout, "docs/how-to/kubernetes.md"), "utf8");
  const shown = JSON.parse(/^```json\n(.*?)^```$/ms.exec(page)?.[1] ?? "");
  const client = new S3Client(s3ClientSettings(repository));
  for (const { stores } of Object.values<{ stores: Record<string, object & { bucket: string }> }>(shown.regions)) {
    for (const store of Object.values(stores)) {
      await client.send(new CreateBucketCommand({ Bucket: store.bucket }));
      Object.assign(store, { endpoint });
    }
  }
  client.destroy();
  writeFileSync(join(folder, "foundation.json"), JSON.stringify(shown));
  const { accessKeyId = "", secretAccessKey = "" } = credentials ?? {};
  return { env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } };
}
