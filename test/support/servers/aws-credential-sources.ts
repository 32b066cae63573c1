/**
 * Every place in which AWS's SDK looks for credentials, each with a key of its own: files, a program, and servers in place of STS, the SSO portal,
 * a container's and an instance's metadata. The store at the same address refuses everybody, and notes whose key it was.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

const expiration = "2099-01-01T00:00:00Z";
const startUrl = "https://people.example/start";
const secret = "a-secret";

type Environment = Readonly<Record<string, string>>;

export class AwsCredentialSources {
  readonly url: string;
  /** By the name of a source: what makes a process find credentials there alone. */
  readonly environments: Readonly<Record<string, Environment>>;
  /** Ids of the access keys that came to the store. */
  readonly seen = new Set<string>();
  readonly #server: Server;

  private constructor(server: Server, folder: string) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.environments = environmentsIn(folder, this.url);
    server.on("request", ({ headers, url = "" }, answer) => {
      const [, key] = /Credential=([^/]+)\//.exec(headers.authorization ?? "") ?? [];
      if (url.startsWith("/recovery-points") && key !== undefined) this.seen.add(key);
      const text = answerTo(url);
      answer.writeHead(text === undefined ? 403 : 200, {
        "content-type": text?.startsWith("<") ? "text/xml" : "application/json",
      });
      answer.end(text ?? "<Error><Code>AccessDenied</Code></Error>");
    });
  }

  static async start(folder: string): Promise<AwsCredentialSources> {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    return new AwsCredentialSources(server, folder);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await once(this.#server.close(), "close");
  }
}

/** Undefined for the store. */
function answerTo(url: string): string | undefined {
  if (url.startsWith("/container")) return metadataOf("container");
  if (url.startsWith("/latest/api/token")) return "token";
  if (/security-credentials\/?$/.test(url)) return "role";
  if (/security-credentials\/role$/.test(url)) return metadataOf("instance");
  if (url.startsWith("/federation/credentials")) {
    const credentials = {
      accessKeyId: "key-of-sso",
      secretAccessKey: secret,
      sessionToken: "t",
      expiration: Date.parse(expiration),
    };
    return JSON.stringify({ roleCredentials: credentials });
  }
  if (url === "/") {
    return `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>key-of-web-identity</AccessKeyId><SecretAccessKey>${secret}</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
  }
  return undefined;
}

function metadataOf(source: string): string {
  return JSON.stringify({
    Code: "Success",
    AccessKeyId: `key-of-${source}`,
    SecretAccessKey: secret,
    Token: "t",
    Expiration: expiration,
  });
}

function environmentsIn(folder: string, url: string): Readonly<Record<string, Environment>> {
  const aws = join(folder, ".aws");
  mkdirSync(join(aws, "sso", "cache"), { recursive: true });
  const file = (name: string, text: string) => {
    writeFileSync(join(aws, name), text);
    return join(aws, name);
  };
  file("credentials", `[people]\naws_access_key_id = key-of-profile\naws_secret_access_key = ${secret}\n`);
  const program = { Version: 1, AccessKeyId: "key-of-process", SecretAccessKey: secret };
  file("process.json", JSON.stringify(program));
  file(
    "config",
    `[profile program]
credential_process = /bin/cat ${join(aws, "process.json")}
[profile person]
sso_start_url = ${startUrl}
sso_region = us-east-1
sso_account_id = 111122223333
sso_role_name = backup
`,
  );
  const token = { startUrl, region: "us-east-1", accessToken: "token", expiresAt: expiration };
  file(join("sso", "cache", `${createHash("sha1").update(startUrl).digest("hex")}.json`), JSON.stringify(token));
  const home = { HOME: folder, AWS_EC2_METADATA_DISABLED: "true" };
  return {
    environment: { ...home, AWS_ACCESS_KEY_ID: "key-of-environment", AWS_SECRET_ACCESS_KEY: secret },
    profile: { ...home, AWS_PROFILE: "people" },
    process: { ...home, AWS_PROFILE: "program" },
    sso: { ...home, AWS_PROFILE: "person", AWS_ENDPOINT_URL_SSO: url },
    "web-identity": {
      ...home,
      AWS_REGION: "us-east-1",
      AWS_ROLE_ARN: "arn:aws:iam::111122223333:role/backup",
      AWS_WEB_IDENTITY_TOKEN_FILE: file("token", "a.b.c"),
      AWS_ENDPOINT_URL_STS: url,
    },
    container: { ...home, AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/container` },
    instance: { HOME: folder, AWS_EC2_METADATA_SERVICE_ENDPOINT: url },
  };
}
