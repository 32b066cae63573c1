/** The text of a settings file, as `init` writes it: what was answered, and the schedules that hold, for people to change. */
import { regionSettingsSchema } from "./region-settings.ts";
import type { SecretReference } from "./secret-reference.ts";

export interface SettingsAnswers {
  readonly region: string;
  /** URLs of its peers; one for a server that is alone. */
  readonly qdrant: readonly string[];
  readonly apiKey?: SecretReference | undefined;
  readonly store: string;
  readonly s3?: { readonly endpoint?: string | undefined; readonly region?: string | undefined } | undefined;
  readonly recipients: { readonly operational: string; readonly offline: string };
  readonly identity: SecretReference;
}

export function settingsText(answers: SettingsAnswers): string {
  const { apiKey, identity, qdrant, recipients, region, s3, store } = answers;
  const [url] = qdrant;
  const endpoint = s3?.endpoint === undefined ? [] : [`  endpoint: ${JSON.stringify(s3.endpoint)}`];
  const s3Region = s3?.region === undefined ? [] : [`  region: ${JSON.stringify(s3.region)}`];
  const lines = [
    "# Settings of qdrant-dr for one Qdrant. docs/reference/settings.md describes every setting.",
    "# A secret is never in here: { file: path } or { env: NAME } says where it is kept.",
    `region: ${JSON.stringify(region)}`,
    "qdrant:",
    ...(qdrant.length === 1
      ? [`  url: ${JSON.stringify(url)}`]
      : ["  peers:", ...qdrant.map((peer) => `    - ${JSON.stringify(peer)}`)]),
    ...(apiKey === undefined ? [] : [`  apiKey: ${reference(apiKey)}`]),
    `store: ${JSON.stringify(store)}`,
    ...(endpoint.length + s3Region.length === 0 ? [] : ["s3:", ...endpoint, ...s3Region]),
    "keys:",
    "  recipients:",
    `    - ${JSON.stringify(recipients.operational)} # operational: its identity is named below`,
    `    - ${JSON.stringify(recipients.offline)} # offline recovery: people keep its identity elsewhere`,
    `  identity: ${reference(identity)}`,
    "",
    "# When `qdrant-dr serve` does what, in UTC; `off` switches one off. These hold unless you change them:",
    "# schedules:",
    ...Object.entries(defaultSchedules()).map(([name, cron]) => `#   ${name}: ${JSON.stringify(cron)}`),
  ];
  return `${lines.join("\n")}\n`;
}

function reference({ env, file }: SecretReference): string {
  return file === undefined ? `{ env: ${env} }` : `{ file: ${JSON.stringify(file)} }`;
}

function defaultSchedules() {
  return regionSettingsSchema.shape.schedules.parse({});
}
