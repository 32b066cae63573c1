/** Looks at what is to be protected, and at what protects it; or at the parts that the practice estate is made of. */
import { resolve } from "node:path";
import type { z } from "zod";
import type { Deps, RegionOptions } from "../../composition/deps.ts";
import { newId } from "../../domain/identifier.ts";
import { isOwnKey } from "../../domain/recovery-points/store-layout.ts";
import type { StoreAddress } from "../../domain/region.ts";
import { addressOf, urlOf } from "../../domain/server-address.ts";
import { readStoreLocation } from "../../domain/settings/store-location.ts";
import { DrError } from "../../errors.ts";
import { diagnoseQdrant, type QdrantDiagnosis } from "../../workflows/doctor/diagnose-qdrant.ts";
import { diagnoseStore, placesOf, type StoreDiagnosis } from "../../workflows/doctor/diagnose-store.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { qdrantAt } from "../shared/named-qdrant.ts";
import { doctorAnswer } from "./answer.ts";
import { inspectedParts } from "./parts.ts";
import { qdrantInWords, storeInWords } from "./text.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly qdrant?: string;
  readonly store?: string;
  readonly parts?: true;
}

export const doctor: CommandDefinition<Options, z.infer<typeof doctorAnswer>> = {
  name: "doctor",
  summary:
    "look at a Qdrant and its recovery points without a change: what would be lost today, how long a disaster would take, what endangers it, and what to do next",
  answer: doctorAnswer,
  configure: (command) =>
    regionOptions(command)
      .option("--qdrant <url>", "a Qdrant, also one that nothing protects yet; its key is in QDRANT_API_KEY")
      .option(
        "--store <location>",
        "a folder, or s3://bucket/prefix: try out whether it does what recovery points rest on, and what its credentials can do to what is there; leaves small objects below probes/",
      )
      .option("--stack <name>", "the region of this stack; left out: the region of the settings file")
      .option("--parts", "the parts that the quickstart needs, and how to mend what is missing")
      .addHelpText(
        "after",
        `
Examples:
  qdrant-dr doctor --qdrant http://127.0.0.1:6333
  qdrant-dr doctor --store s3://backups/qdrant
  qdrant-dr doctor
${exitCodesHelp([2, "the store does not do what recovery points rest on"], [4, "a part is missing or unfit"], [5, "Qdrant or the store does not answer, or refuses"])}`,
      ),
  async run(deps, options) {
    if (options.parts === true) return inspectedParts();
    const { qdrant, store } =
      options.qdrant === undefined && options.store === undefined
        ? await ofRegion(deps, options)
        : await ofNamed(deps, options);
    const text = [
      ...(qdrant === undefined ? [] : [qdrantInWords(qdrant)]),
      ...(store === undefined ? [] : [storeInWords(store)]),
    ].join("\n\n");
    const failed = store?.probe?.failed;
    if (failed === undefined) return { json: { qdrant, store: store && withoutError(store) }, text };
    const { code, hint, message } = failed.problem;
    throw new DrError(code, `${message}\n${text}`, { hint, cause: failed.problem });
  },
};

interface Diagnoses {
  readonly qdrant?: QdrantDiagnosis | undefined;
  readonly store?: StoreDiagnosis | undefined;
}

/** Nothing is written. */
async function ofRegion(deps: Deps, options: Options): Promise<Diagnoses> {
  await refuseUnlessNamed(deps, options);
  const session = await deps.access(options.stack, options);
  const { control, qdrant } = session.region;
  const [diagnosed, store] = await Promise.all([
    diagnoseQdrant({
      urls: qdrant.peers,
      database: session.database,
      repository: () => session.repository(),
      clock: deps.clock,
    }),
    diagnoseStore({ places: placesOf(session.stores), protection: () => deps.storeProtection(control) }),
  ]);
  return { qdrant: diagnosed, store };
}

/** Whoever has nothing yet has a URL. */
async function refuseUnlessNamed(deps: Deps, options: Options): Promise<void> {
  const { estate, outputs, stack } = options;
  if (stack !== undefined || outputs !== undefined || estate !== undefined) return;
  if ((await deps.settings(options)) !== undefined) return;
  throw new DrError("USAGE", "there is no settings file here, and neither a Qdrant nor a store is named", {
    hint: "`qdrant-dr doctor --qdrant http://127.0.0.1:6333` looks at one that nothing protects yet; `--parts` shows the parts of the quickstart",
  });
}

async function ofNamed(deps: Deps, { qdrant, store, ...options }: Options): Promise<Diagnoses> {
  return {
    qdrant: qdrant === undefined ? undefined : await ofQdrant(deps, qdrant, options),
    store: store === undefined ? undefined : await ofStore(deps, store),
  };
}

/** What a settings file here says of the same Qdrant counts. */
async function ofQdrant(deps: Deps, url: string, options: Options): Promise<QdrantDiagnosis> {
  const { database, peers } = await qdrantAt(deps, url, "--qdrant");
  const file = await deps.settings(options);
  const named = file === undefined ? [] : (file.settings.qdrant.peers ?? [file.settings.qdrant.url ?? ""]);
  const isProtected = named.some((each) => peers.includes(urlOf(addressOf(each))));
  const session = isProtected ? await deps.access(undefined, options) : undefined;
  return diagnoseQdrant({
    urls: peers,
    database,
    repository: session && (() => session.repository()),
    clock: deps.clock,
  });
}

async function ofStore(deps: Deps, location: string): Promise<StoreDiagnosis> {
  const read = readStoreLocation(location);
  if ("problem" in read) {
    throw new DrError("USAGE", `--store ${location} is not a store: wanted is ${read.problem}`, {
      hint: "the URL of an S3 server that is not AWS's is given in AWS_ENDPOINT_URL_S3",
    });
  }
  const address: StoreAddress = read.kind === "file" ? { kind: "file", folder: resolve(read.folder) } : { ...read };
  const store = deps.store(address);
  return diagnoseStore({
    places: [{ name: location, store, isOurs: isOwnKey }],
    protection: () => deps.storeProtection(address),
    probe: {
      id: newId(deps.clock.now()),
      store,
      writerRights: (key) => deps.writerRights(address, key),
    },
  });
}

function withoutError({ probe, ...store }: StoreDiagnosis): NonNullable<z.infer<typeof doctorAnswer>["store"]> {
  return { ...store, passed: probe?.passed };
}
