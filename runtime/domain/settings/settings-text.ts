/** The text of a settings file, as `init` writes it: what was answered, and the schedules that hold, for people to change. */
import { type RegionSettings, regionSettingsSchema } from "./region-settings.ts";
import type { SecretReference } from "./secret-reference.ts";

/** A region as it is reached from the machine of the file. */
export interface PeerAnswers {
  readonly region: string;
  /** URLs of its peers; one for a server that is alone. */
  readonly qdrant: readonly string[];
  readonly apiKey?: SecretReference | undefined;
  readonly store: string;
  readonly s3?: RegionSettings["s3"];
  /** Of its machine. */
  readonly signingKey?: string | undefined;
}

export interface SettingsAnswers extends PeerAnswers {
  readonly recipients: { readonly operational: string; readonly offline: string };
  readonly identity: SecretReference;
  readonly signing: SecretReference;
  readonly trust: RegionSettings["trust"];
  /** The other region. */
  readonly peer?: PeerAnswers | undefined;
}

export function settingsText(answers: SettingsAnswers): string {
  const { identity, peer, recipients, signing, trust } = answers;
  const lines = [
    "# Settings of qdrant-dr for one Qdrant. docs/reference/settings.md describes every setting.",
    "# A secret is never in here: { file: path } or { env: NAME } says where it is kept.",
    ...regionLines(answers),
    "keys:",
    "  recipients:",
    `    - ${JSON.stringify(recipients.operational)} # operational: its identity is named below`,
    `    - ${JSON.stringify(recipients.offline)} # offline recovery: people keep its identity elsewhere`,
    `  identity: ${reference(identity)}`,
    `  signing: ${reference(signing)}`,
    "# Whose signatures are believed: this machine's, and that of the offline recovery identity.",
    "trust:",
    `  id: ${JSON.stringify(trust.id)}`,
    "  keys:",
    ...trust.keys.map((key) => `    - ${JSON.stringify(key)}`),
    ...(peer === undefined ? [] : peerLines(peer)),
    "",
    "# When `qdrant-dr serve` does what, in UTC; `off` switches one off. These hold unless you change them:",
    "# schedules:",
    ...Object.entries(defaultSchedules()).map(([name, cron]) => `#   ${name}: ${JSON.stringify(cron)}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** Lines for the settings file of a machine that is to know this region as its peer. */
export function peerLines(peer: PeerAnswers): string[] {
  const signing = peer.signingKey === undefined ? [] : [`signingKey: ${JSON.stringify(peer.signingKey)}`];
  return ["peer:", ...[...regionLines(peer), ...signing].map((line) => `  ${line}`)];
}

function regionLines({ apiKey, qdrant, region, s3, store }: PeerAnswers): string[] {
  const { credentials, endpoint, region: s3Region } = s3 ?? {};
  const s3Lines = [
    ...(endpoint === undefined ? [] : [`  endpoint: ${JSON.stringify(endpoint)}`]),
    ...(s3Region === undefined ? [] : [`  region: ${JSON.stringify(s3Region)}`]),
    ...(credentials === undefined
      ? []
      : [
          "  credentials:",
          `    accessKeyId: ${reference(credentials.accessKeyId)}`,
          `    secretAccessKey: ${reference(credentials.secretAccessKey)}`,
        ]),
  ];
  return [
    `region: ${JSON.stringify(region)}`,
    "qdrant:",
    ...(qdrant.length === 1
      ? [`  url: ${JSON.stringify(qdrant[0])}`]
      : ["  peers:", ...qdrant.map((peer) => `    - ${JSON.stringify(peer)}`)]),
    ...(apiKey === undefined ? [] : [`  apiKey: ${reference(apiKey)}`]),
    `store: ${JSON.stringify(store)}`,
    ...(s3Lines.length === 0 ? [] : ["s3:", ...s3Lines]),
  ];
}

function reference({ env, file }: SecretReference): string {
  return file === undefined ? `{ env: ${env} }` : `{ file: ${JSON.stringify(file)} }`;
}

function defaultSchedules() {
  return regionSettingsSchema.shape.schedules.parse({});
}
