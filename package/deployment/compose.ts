/** Qdrant, an S3 store, and the product beside them: on one machine, from nothing. */
import { exporterPort } from "../../runtime/domain/network/ports.ts";
import { environment, type Variable } from "./environment.ts";

export function composeFile(): string {
  return `# Made by \`npm run docs\` from package/deployment: what you change goes into compose.override.yaml.
# Qdrant, an S3 store, and qdrant-dr that captures the one into the other. docs/how-to/install.md says how it is started.
name: qdrant-dr

x-qdrant-dr: &qdrant-dr
  image: ${put("QDRANT_DR_IMAGE")}
  build: ..
  environment:
    QDRANT_DR_SETTINGS: /settings/qdrant-dr.yaml
    QDRANT_API_KEY: ${put("QDRANT_API_KEY")}
    AWS_ACCESS_KEY_ID: ${put("AWS_ACCESS_KEY_ID")}
    AWS_SECRET_ACCESS_KEY: ${put("AWS_SECRET_ACCESS_KEY")}
    QDRANT_DR_WEBHOOK_URL: ${put("QDRANT_DR_WEBHOOK_URL")}
    QDRANT_DR_SMTP_PASSWORD: ${put("QDRANT_DR_SMTP_PASSWORD")}
    QDRANT_DR_HEARTBEAT_URL: ${put("QDRANT_DR_HEARTBEAT_URL")}
  volumes: [settings:/settings]
  cap_drop: [ALL]
  security_opt: [no-new-privileges]

services:
  qdrant:
    image: ${put("QDRANT_IMAGE")}
    environment:
      QDRANT__SERVICE__API_KEY: ${put("QDRANT_API_KEY")}
      QDRANT__TELEMETRY_DISABLED: "true"
    volumes: [qdrant:/qdrant/storage]
    ports: ["127.0.0.1:${put("QDRANT_PORT")}:6333"]
    healthcheck:
      test: [CMD, bash, -c, 'exec 3<>/dev/tcp/127.0.0.1/6333 && printf "GET /readyz HTTP/1.0\\r\\n\\r\\n" >&3 && grep -q "200 OK" <&3']
      interval: 5s
      start_period: 60s
    restart: unless-stopped

  # A store on the same machine is lost with it. Name one elsewhere in .env, and this one stays empty.
  store:
    image: ${put("STORE_IMAGE")}
    command: [server, -s3, -s3.port=8333, -s3.iam=false, -filer, -ip=store, -ip.bind=0.0.0.0, -master.telemetry=false]
    environment:
      AWS_ACCESS_KEY_ID: ${put("AWS_ACCESS_KEY_ID")}
      AWS_SECRET_ACCESS_KEY: ${put("AWS_SECRET_ACCESS_KEY")}
    volumes: [store:/data]
    healthcheck:
      # The gateway says that it is well before there is a volume to write to.
      test: [CMD-SHELL, "wget -q -O - http://store:9333/dir/assign && wget -q -O - http://127.0.0.1:8333/healthz"]
      interval: 5s
      start_period: 60s
    restart: unless-stopped

  # Makes settings and keys, once, and shows the offline recovery identity then; afterwards it changes nothing.
  init:
    <<: *qdrant-dr
    command:
      - /app/qdrant-dr.mjs
      - init
      - --yes
      - --qdrant=http://qdrant:6333
      - --store=${put("QDRANT_DR_STORE")}
      - --s3-endpoint=${put("QDRANT_DR_S3_ENDPOINT")}
      - --s3-region=${put("AWS_REGION")}
    depends_on:
      qdrant: { condition: service_healthy }
      store: { condition: service_healthy }

  qdrant-dr:
    <<: *qdrant-dr
    command: [/app/qdrant-dr.mjs, serve, --host=0.0.0.0, --port=${exporterPort}]
    ports: ["127.0.0.1:${put("METRICS_PORT")}:${exporterPort}"]
    depends_on:
      init: { condition: service_completed_successfully }
    healthcheck:
      test: [CMD, /nodejs/bin/node, -e, "fetch('http://127.0.0.1:${exporterPort}/healthz').then(({ ok }) => process.exit(ok ? 0 : 1))"]
      interval: 30s
      start_period: 30s
    stop_grace_period: 2m
    restart: unless-stopped

volumes:
  qdrant:
  settings:
  store:
`;
}

const variables = new Map<string, Variable>(
  Object.values(environment).flatMap(({ variables }) => variables.map((each) => [each.name, each] as const)),
);

/** As Compose puts a variable in: with its default, or the refusal to start without it. */
function put(name: string): string {
  const variable = variables.get(name);
  if (variable === undefined) throw new Error(`environment.ts has no ${name}`);
  if (variable.isRequired) return `\${${name}:?copy .env.example to .env and fill it in}`;
  return `\${${name}:-${variable.fallback ?? ""}}`;
}
