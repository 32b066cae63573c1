import { exporterPort } from "../../runtime/domain/network/ports.ts";
import { environment, type Variable } from "./environment.ts";

const variables = new Map<string, Variable>(
  Object.values(environment).flatMap(({ variables }) =>
    variables.map((variable) => [variable.name, variable] as const),
  ),
);

/** As Compose puts a variable in: its default, or the refusal to start without it. */
function put(name: string): string {
  const { fallback, isRequired } = variables.get(name) ?? {};
  if (isRequired) return `\${${name}:?copy .env.example to .env and fill it in}`;
  if (fallback === undefined) throw new Error(`${name} is not in environment.ts, or has no default`);
  return `\${${name}:-${fallback}}`;
}

/** Qdrant, an S3 store, and the product beside them: on one machine, from nothing. */
export function composeFile(): string {
  return `# Made by \`npm run docs\` from package/deployment: do not edit; override it in compose.override.yaml.
# Qdrant with an S3 store and qdrant-dr beside it: \`cp .env.example .env\`, fill in its secrets, \`docker compose up --detach\`.
# The first start makes settings and keys in the volume "settings". Read docs/how-to/install.md: the recovery key must leave this machine.
name: qdrant-dr

services:
  qdrant:
    image: ${put("QDRANT_IMAGE")}
    environment:
      QDRANT__SERVICE__API_KEY: ${put("QDRANT_API_KEY")}
      QDRANT__TELEMETRY_DISABLED: "true"
    volumes: [qdrant:/qdrant/storage]
    ports: ["127.0.0.1:${put("QDRANT_PORT")}:6333"]
    healthcheck:
      test: [CMD, bash, -c, "exec 3<>/dev/tcp/127.0.0.1/6333; printf 'GET /readyz HTTP/1.0\\\\r\\\\n\\\\r\\\\n' >&3; grep -q 'all shards are ready' <&3"]
      interval: 5s
      start_period: 60s
    restart: unless-stopped

  # On this machine for a start: name a store elsewhere in .env, and this one stays empty.
  store:
    image: ${put("STORE_IMAGE")}
    command: [server, -s3, -filer, -s3.port=8333, -s3.iam=false, -ip=store, -ip.bind=0.0.0.0]
    environment:
      AWS_ACCESS_KEY_ID: ${put("AWS_ACCESS_KEY_ID")}
      AWS_SECRET_ACCESS_KEY: ${put("AWS_SECRET_ACCESS_KEY")}
    volumes: [store:/data]
    healthcheck:
      test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1:8333/healthz"]
      interval: 5s
      start_period: 60s
    restart: unless-stopped
`;
}
void exporterPort;
