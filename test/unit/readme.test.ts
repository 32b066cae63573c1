import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { runCli } from "../../runtime/cli.ts";
import type { Deps } from "../../runtime/composition/deps.ts";
import { DrError, exitCodes } from "../../runtime/errors.ts";

const file = (name: string) => readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), "utf8");
const lines = [...file("README.md").matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block = ""]) =>
  block.trim().split("\n"),
);

describe("README", () => {
  const commands = lines.filter((line) => line.startsWith("./bin/qdrant-dr ")).map((line) => line.split(" ").slice(1));

  for (const args of commands.filter(([name]) => name !== "doctor")) {
    it(`shows a command that is understood: ${args.join(" ")}`, async () => {
      const reached = new DrError("UNREACHABLE", "the region would be asked now");
      const ask = () => Promise.reject(reached);
      const deps = { access: ask, stacks: ask, progress: () => undefined, toolVersion: "0" } as unknown as Deps;
      let said = "";
      const write = (text: string) => {
        said += text;
      };

      const exitCode = await runCli(args, deps, { out: write, err: write });

      expect(said).to.contain(reached.message);
      expect(exitCode).to.equal(exitCodes.unreachable);
    });
  }

  it("shows npm scripts that exist", () => {
    const { scripts } = JSON.parse(file("package.json")) as { scripts: Record<string, string> };
    const shown = lines.flatMap((line) => /^npm (?:run )?([a-z:]+)/.exec(line)?.[1] ?? []);
    expect(shown).to.include.members(["quickstart", "test"]);
    for (const script of shown) expect(Object.keys(scripts)).to.include(script);
  });

  it("links to files that exist", () => {
    const linked = [...file("README.md").matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path = ""]) => path);
    expect(linked).to.not.be.empty;
    for (const path of linked.filter((each) => each.endsWith(".md"))) expect(file(path), path).to.not.equal("");
  });
});
