import type { Deps, RegionOptions } from "../../composition/deps.ts";
import { missingAmong, missingInWords, partialityOf } from "../../domain/recovery-points/missing.ts";
import {
  type DataKind,
  dataKinds,
  type Missing,
  type RecoveryPoint,
} from "../../domain/recovery-points/recovery-point.ts";
import { parseZonedTime } from "../../domain/zoned-time.ts";
import { DrError } from "../../errors.ts";
import { findRecoveryPoint } from "../../workflows/find-recovery-point.ts";
import { recordedRun } from "../../workflows/recorded-run.ts";
import type { RegionSession } from "../../workflows/region-session.ts";
import {
  type Answer,
  type CommandDefinition,
  exitCodesHelp,
  parseKinds,
  parseNames,
  regionOptions,
} from "../shared/command.ts";
import { type RestoreAnswer, type RestoredPart, restoreAnswer } from "./answer.ts";
import { type FolderOptions, parseFolder, parsePath, planFolders } from "./folders.ts";
import { type ClusterOptions, isForCluster, planInfrastructure, refuseClusterOptions } from "./infrastructure.ts";
import { planQdrant, type QdrantOptions } from "./qdrant.ts";
import { testAnswer } from "./test.ts";

interface Options extends RegionOptions, QdrantOptions, FolderOptions, ClusterOptions {
  readonly recoveryPoint: string;
  readonly only?: readonly DataKind[];
  readonly althoughQuarantined?: boolean;
  readonly dryRun?: boolean;
  readonly test?: boolean;
}

const help = `
A restore never replaces a collection that exists: it may be the only copy.
After a mistake name a time before it: the latest recovery point may be of after it.
  A deleted collection          restore --stack prod --collections notes --recovery-point 2026-05-31T14:30:00Z
  A corrupted one               restore --stack prod --collections notes --recovery-point 2026-05-31T14:30:00Z \\
                                  --as notes_2 --swap-alias current-notes
    (clients that use the alias are on the restored one from the moment it is compared; without an alias, delete the
    collection yourself, then restore it)
  As it was in the past         restore --stack prod --recovery-point 2026-05-31T14:30:00Z --collections notes --as notes_may
  Into another Qdrant           QDRANT_API_KEY=… restore --stack prod --to http://10.0.0.5:6333,http://10.0.0.6:6333
  Configuration and user data   restore --stack prod --only config,user-data --into /tmp/restored
  The same, where they belong   restore --stack prod --only config,user-data --in-place
  To the second before a mistake  restore --stack dr --collections notes --as notes_2 --at 2026-05-31T14:30:07Z
    (where the region followed the other one's journal)
  Only to prove it             restore --test
  Infrastructure, as files      restore --stack prod --only infrastructure --into /tmp/restored
  The same, to a cluster        restore --stack prod --only infrastructure --context dr --dry-run
    (what would change is shown first; fields that others set are taken over only with --force-conflicts; nothing is
    deleted, and states of Pulumi stacks are never imported: that is done by hand, from the files)
Number of nodes and placement of shards may differ. Keep clients away from what is being restored: what they write before
its shards have come is gone.`;

export const restore: CommandDefinition<Options, RestoreAnswer> = {
  name: "restore",
  summary: "restore a recovery point from a region's bucket into a Qdrant, which must not hold the collections",
  answer: restoreAnswer,
  configure: (command) =>
    regionOptions(command)
      .option(
        "--stack <name>",
        "stack whose bucket is read, and whose Qdrant is filled unless --to is given; left out: the region of the settings file",
      )
      .option(
        "--recovery-point <id>",
        "a recovery point, latest (the newest that holds what is asked for), or a time: the newest such that was begun then or before",
        "latest",
      )
      .option("--although-quarantined", "restore the recovery point that is named by its id although it is quarantined")
      .option(
        "--at <time>",
        "with a recovery point that `replicate --journal` captured: then bring it to this time by the journal; the newest such of before when --recovery-point is left out",
        parseZonedTime,
      )
      .option(
        "--to <urls>",
        "another Qdrant: the URLs of its peers, with their ports, separated by commas; its key is in QDRANT_API_KEY",
      )
      .option("--api-key-file <file>", "read the key of that Qdrant from this file")
      .option(
        "--only <kinds>",
        `what to restore, separated by commas: ${dataKinds.join(", ")}; qdrant alone when left out`,
        parseKinds,
      )
      .option("--collections <names>", "only these, separated by commas", parseNames)
      .option("--as <name>", "restore the one collection under this name, beside a live one")
      .option("--swap-alias <alias>", "then, when it is compared, let this alias lead to it")
      .option(
        "--folder <name=path>",
        "restore this folder of config or user-data there; can be given again",
        parseFolder,
      )
      .option("--into <path>", "restore folders below this one, each under its name", parsePath)
      .option(
        "--context <name>",
        "apply infrastructure to the cluster of this kubeconfig context, not to the region's own",
      )
      .option("--kubeconfig <file>", "with --context: the kubeconfig that has it", parsePath)
      .option("--force-conflicts", "apply infrastructure also over fields that others set to other values")
      .option(
        "--in-place",
        "restore folders where they belong, and keep what is there as <path>.before-<recovery point>",
      )
      .option(
        "--keep-special-modes",
        "give what folders hold its set-user-id, set-group-id and sticky bits again, which are left off otherwise",
      )
      .option("--discard-unfinished", "throw away what an earlier restore that was cut off left half-made")
      .option(
        "--dry-run",
        "say what would be done, and change nothing; an empty scratch collection, removed at once, tells the target's own defaults",
      )
      .option(
        "--test",
        "prove that it can be restored: each collection by itself under a scratch name, compared, asked by search and removed; beside the live ones, or in the Qdrant of the setting testRestore",
      )
      .addHelpText(
        "after",
        help +
          "\n" +
          exitCodesHelp(
            [2, "wrong option, or versions that do not fit"],
            [4, "with --test: that Qdrant has too little disk; nothing was made"],
            [5, "a server does not answer, or refuses what it is asked"],
            [10, "no such recovery point, or it is not complete"],
            [11, "the target holds such a collection; nothing was changed"],
            [12, "what was restored is not what was captured"],
            [15, "restored but for what the recovery point lacks, or the target cannot hold: it is named"],
          ),
      ),
  async run(deps, options) {
    const kinds = options.only ?? ["qdrant"];
    refuseFolderOptions(kinds, options);
    refuseClusterOptions(kinds, options);
    refuseBesideTest(options);
    refuseBesideTime(kinds, options);
    const session = await deps.access(options.stack, options);
    const work = () => (options.test ? testAnswer(deps, session, options) : restoreFrom(deps, session, kinds, options));
    // Into another Qdrant than the region's own, it proves that the recovery points can be restored.
    const isTest = options.test || (options.to !== undefined && !options.dryRun);
    const shortcomingOf = ({ shortcoming }: Answer<RestoreAnswer>) => shortcoming;
    return isTest ? recordedRun({ ...deps, session, run: "test-restore" }, work, { shortcomingOf }) : work();
  },
};

async function restoreFrom(
  deps: Deps,
  session: RegionSession,
  kinds: readonly DataKind[],
  options: Options,
): Promise<Answer<RestoreAnswer>> {
  // What replication captured a moment ago is the latest, too.
  const repository = (await session.repository()).withStream();
  const recoveryPoint = await findRecoveryPoint(
    repository,
    options.at === undefined || options.recoveryPoint !== "latest" ? options.recoveryPoint : options.at.toISOString(),
    {
      kinds,
      collections: options.collections,
      althoughQuarantined: options.althoughQuarantined,
      broughtTo: options.at,
    },
    deps,
  );
  const sources = { session, repository, recoveryPoint };
  const isApplied = isForCluster(kinds, options);
  const folderKinds = kinds
    .filter((kind) => kind !== "qdrant")
    .filter((kind) => !isApplied || kind !== "infrastructure");
  // Everything is planned before anything is touched.
  const parts = [
    ...(kinds.includes("qdrant") ? [await planQdrant(deps, sources, options)] : []),
    ...(folderKinds.length > 0 ? [await planFolders(deps, sources, folderKinds, options)] : []),
    // Last: workloads that are started find their data.
    ...(isApplied ? [await planInfrastructure(deps, sources, options)] : []),
  ];
  const impossible = parts.flatMap((part) => part.impossible ?? []);
  const missing = [...missingAmong(recoveryPoint, kinds, options.collections), ...impossible];
  const from = { recoveryPoint: recoveryPoint.id, time: recoveryPoint.time, missing };
  const shortcoming = shortcomingOf(recoveryPoint, missing, impossible);
  const planned = joined(
    from,
    parts.map((part) => part.planned),
  );
  const toldPlan = {
    ...planned,
    text: [planned.text, ...wordsOf(recoveryPoint, { missing, impossible }, options)].join("\n"),
  };
  if (options.dryRun) return { ...toldPlan, shortcoming };
  deps.progress({ step: "plan", detail: toldPlan.text });
  const answers: Answer<RestoredPart>[] = [];
  for (const part of parts) answers.push(await part.run());
  const { json, text } = joined(from, answers);
  const lines = [text, ...wordsOf(recoveryPoint, { missing, impossible }, options)];
  return { json: { ...json, plan: planned.json }, text: lines.join("\n"), shortcoming };
}

function shortcomingOf(
  { id }: RecoveryPoint,
  missing: readonly Missing[],
  impossible: readonly Missing[],
): DrError | undefined {
  const [first] = impossible;
  if (first === undefined || missing.length > impossible.length) return partialityOf(id, missing);
  const { hint } = first;
  const told = impossible.map(({ because }) => because).join("; ");
  return new DrError("RECOVERY_POINT_PARTIAL", `${id} is restored in part: ${told}`, { hint });
}

function wordsOf(
  { excluded = [] }: RecoveryPoint,
  { impossible, missing }: Record<"missing" | "impossible", readonly Missing[]>,
  { collections }: Pick<Options, "collections">,
): string[] {
  const isTold = excluded.length > 0 && collections === undefined;
  return [
    ...missing.filter((each) => !impossible.includes(each)).map((each) => `missing: ${missingInWords(each)}`),
    ...impossible.map(({ because }) => `left out: ${because}`),
    ...(isTold ? [`left out of the recovery point on purpose: ${excluded.join(", ")}`] : []),
  ];
}

/** What each part adds to the answer, in one object. */
function joined<Part extends object>(
  from: { readonly recoveryPoint: string; readonly time: string; readonly missing: readonly Missing[] },
  answers: readonly Answer<Part>[],
): Answer<typeof from & Partial<Part>> {
  const json: typeof from & Partial<Part> = Object.assign({}, from, ...answers.map((answer) => answer.json));
  return { json, text: answers.map(({ text }) => text).join("\n") };
}

/** A test restores what is there, where nothing is in its way: only what is tested can be chosen. */
function refuseBesideTest({ test, ...options }: Options): void {
  if (!test) return;
  const allowed = [
    "collections",
    "recoveryPoint",
    "althoughQuarantined",
    "settings",
    "stack",
    "outputs",
    "estate",
    "identityFile",
    "signingKeyFile",
    "json",
  ];
  const other = Object.keys(options).find((name) => !allowed.includes(name));
  if (other === undefined) return;
  throw new DrError("USAGE", `--test goes without --${other.replaceAll(/[A-Z]/g, (big) => `-${big.toLowerCase()}`)}`, {
    hint: "leave one of them out; --collections and --recovery-point choose what is tested",
  });
}

/** An alias would lead clients to what is not of that time yet. */
function refuseBesideTime(kinds: readonly DataKind[], { at, swapAlias }: QdrantOptions): void {
  if (at === undefined || (swapAlias === undefined && kinds.includes("qdrant"))) return;
  throw new DrError("USAGE", "--at brings collections to a time, and goes without --swap-alias and with qdrant only", {
    hint: "restore to the time first; then lead the alias there yourself",
  });
}

function refuseFolderOptions(
  kinds: readonly DataKind[],
  { folder, inPlace, into, keepSpecialModes }: FolderOptions,
): void {
  if ([folder, into, inPlace, keepSpecialModes].every((option) => option === undefined)) return;
  if (into !== undefined && inPlace === true) {
    throw new DrError("USAGE", "--into and --in-place exclude each other", { hint: "give one of them" });
  }
  if (kinds.some((kind) => kind !== "qdrant")) return;
  throw new DrError(
    "USAGE",
    "--folder, --into, --in-place and --keep-special-modes are for folders, and only qdrant is restored",
    {
      hint: "add --only config,user-data",
    },
  );
}
