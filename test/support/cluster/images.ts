/** Images as OCI archives, made from root folders: a program, the libraries that it links to, and what its image configures. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "../../../package/bundle.ts";
import { clusterFolder, onPath } from "./place.ts";

export interface Image {
  /** With its digest, as settings name it. */
  readonly name: string;
  /** The archive. */
  readonly file: string;
}

interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
}

const checkout = fileURLToPath(new URL("../../..", import.meta.url));

/** The product, with the bundle and the configuration of the Dockerfile, and the Node that runs this. */
export async function productImage(): Promise<Image> {
  const root = rootFolder("product");
  await bundle(join(root, "app"));
  addProgram(root, process.execPath, "/nodejs/bin/node");
  mkdirSync(join(root, "settings"));
  return writeImage("registry.example/qdrant-dr", root, configOf(readFileSync(join(checkout, "Dockerfile"), "utf8")));
}

/** As the official unprivileged image lays it out. */
export function qdrantImage(): Image {
  const root = rootFolder("qdrant");
  addProgram(root, found("qdrant"), "/qdrant/qdrant");
  addProgram(root, found("bash"), "/bin/bash");
  return writeImage("registry.example/qdrant", root, { Cmd: ["./qdrant"], User: "1000:1000", WorkingDir: "/qdrant" });
}

/** A program with nothing beside it, for images of the cluster's own. */
export function programImage(name: string, program: string, args: readonly string[] = []): Image {
  const root = rootFolder(name);
  const path = `/bin/${basename(program)}`;
  addProgram(root, found(program), path);
  return writeImage(`registry.example/${name}`, root, { Entrypoint: [path, ...args] });
}

/** What the last stage of a Dockerfile configures, as far as this project's says it. */
function configOf(dockerfile: string): ImageConfig {
  const last =
    dockerfile
      .replaceAll(/\\\n\s*/g, "")
      .split(/^FROM /m)
      .at(-1) ?? "";
  const configured = (name: string) => new RegExp(`^${name} (.*)$`, "m").exec(last)?.[1] ?? "";
  const variables = configured("ENV").matchAll(/(\w+)=(?:"([^"]*)"|(\S+))/g);
  return {
    Entrypoint: JSON.parse(configured("ENTRYPOINT")),
    Cmd: JSON.parse(configured("CMD")),
    Env: [...variables].map(([, name, quoted, plain]) => `${name}=${quoted ?? plain}`),
    User: configured("USER"),
    WorkingDir: configured("WORKDIR"),
  };
}

function rootFolder(name: string): string {
  const root = clusterFolder("images", name);
  mkdirSync(join(root, "tmp"), { recursive: true });
  chmodSync(join(root, "tmp"), 0o1777);
  return root;
}

/** Copies a program, and every library of this machine that it is linked to, to where its loader looks. */
function addProgram(root: string, program: string, path: string): void {
  addFile(root, program, path);
  let linked = "";
  try {
    linked = execFileSync("ldd", [program], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    // It is linked to nothing.
  }
  for (const [, library = ""] of linked.matchAll(/(\/\S+) \(0x/g)) addFile(root, library, library);
}

function addFile(root: string, from: string, to: string): void {
  mkdirSync(dirname(join(root, to)), { recursive: true });
  cpSync(realpathSync(from), join(root, to));
}

function found(program: string): string {
  const path = onPath(program);
  if (path === undefined) throw new Error(`${program} is not on PATH`);
  return path;
}

function writeImage(repository: string, root: string, config: ImageConfig): Image {
  const archive = `${root}-archive`;
  const blobs = join(archive, "blobs", "sha256");
  mkdirSync(blobs, { recursive: true });
  const layerFile = join(archive, "layer");
  execFileSync("tar", ["-C", root, "--owner=0", "--group=0", "-cf", layerFile, "."]);
  const put = (content: Buffer | string, mediaType: string) => {
    const digest = createHash("sha256").update(content).digest("hex");
    writeFileSync(join(blobs, digest), content);
    return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(content) };
  };
  const json = (value: unknown, mediaType: string) => put(JSON.stringify(value), mediaType);
  const oci = (what: string) => `application/vnd.oci.image.${what}`;
  const layer = put(readFileSync(layerFile), oci("layer.v1.tar"));
  rmSync(layerFile);
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const rootfs = { type: "layers", diff_ids: [layer.digest] };
  const described = json({ architecture, os: "linux", config, rootfs }, oci("config.v1+json"));
  const manifest = json(
    { schemaVersion: 2, mediaType: oci("manifest.v1+json"), config: described, layers: [layer] },
    oci("manifest.v1+json"),
  );
  const name = `${repository}@${manifest.digest}`;
  const annotations = { "io.containerd.image.name": name };
  writeFileSync(
    join(archive, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  writeFileSync(join(archive, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  execFileSync("tar", ["-C", archive, "-cf", `${root}.tar`, "oci-layout", "index.json", "blobs"]);
  for (const folder of [root, archive]) rmSync(folder, { recursive: true });
  return { name, file: `${root}.tar` };
}
