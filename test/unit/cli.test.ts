import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { LocalFolders } from "../../runtime/adapters/folders/folder-target.ts";
import { buildProgram, commandAnswers, runCli } from "../../runtime/cli.ts";
import type { Deps } from "../../runtime/composition/deps.ts";
import { RegionAccess } from "../../runtime/composition/region-access.ts";
import { DrError, exitCodes } from "../../runtime/errors.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { signing } from "../support/estates/test-trust.ts";

/** Every command, with the options that it cannot do without. */
const required: Record<string, string[]> = {
  quickstart: [],
  doctor: ["--parts"],
  init: [],
  status: ["--stack", "prod"],
  "recovery-points list": ["--stack", "prod"],
  "recovery-points keep": ["--recovery-point", "20260131T020000000Z-1a2b3c4d"],
  "recovery-points quarantine": ["--stack", "prod", "--recovery-point", "id", "--because", "why"],
  "recovery-points release": ["--stack", "prod", "--recovery-point", "id", "--because", "why"],
  backup: ["--stack", "prod"],
  verify: ["--stack", "prod"],
  heal: ["--stack", "prod"],
  copy: ["--from", "prod", "--to", "dr"],
  prune: ["--stack", "prod"],
  replicate: ["--from", "prod", "--to", "dr"],
  restore: ["--stack", "prod"],
  "export recovery-point": ["--stack", "prod", "--into", "snapshots"],
  import: ["--stack", "prod", "--snapshot", "notes.snapshot"],
  "failover plan": ["--to", "dr"],
  "failover run": ["--to", "dr"],
  "failover folders": ["--to", "dr"],
  "switchover plan": ["--to", "dr"],
  "switchover run": ["--to", "dr"],
  "switchover abort": ["--to", "dr"],
  drill: ["--to", "dr"],
  divergence: ["--to", "dr"],
  exporter: ["--stack", "prod"],
  gate: [],
  serve: [],
  logs: [],
  "alerts test": [],
  "export monitoring": ["monitoring"],
  "export kubernetes": ["cluster"],
  "estate init": ["--foundation", "foundation.json"],
  "keys new": ["--name", "alice"],
  "keys identity": ["--file", "key.new"],
  "keys rotate": [],
};
const commands = Object.keys(required);
const exitCodesPage = fileURLToPath(new URL("../../docs/reference/exit-codes.md", import.meta.url));

describe("command line", () => {
  it("lists every command and no other in its help, with a summary each", async () => {
    const { exitCode, err, out } = await run(["--help"]);
    expect([exitCode, err]).to.deep.equal([0, ""]);
    expect(listedIn(out)).to.deep.equal([...new Set(commands.map((command) => command.split(" ")[0]))]);
    for (const group of ["recovery-points", "failover", "switchover", "alerts", "export", "estate", "keys"]) {
      const { out: help } = await run([group, "--help"]);
      expect(listedIn(help).map((word) => `${group} ${word}`)).to.deep.equal(
        commands.filter((command) => command.startsWith(`${group} `)),
      );
    }
  });

  for (const command of commands) {
    it(`${command} --help ends with 0 and lists exit codes that docs/reference/exit-codes.md explains`, async () => {
      const { exitCode, err, out } = await run([...command.split(" "), "--help"]);
      expect([exitCode, err]).to.deep.equal([0, ""]);
      const [, listed = ""] = out.split("Exit codes:\n");
      const codes = [...listed.matchAll(/^ +(\d+) {2}\S/gm)].map(([, code]) => Number(code));
      expect(codes).to.include.members([0, 130]).and.have.length.at.least(3);
      expect(codes).to.deep.equal([...new Set(codes)].sort((a, b) => a - b));
      expect(Object.values(exitCodes)).to.include.members(codes);
      const explained = [...readFileSync(exitCodesPage, "utf8").matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => code);
      expect(explained.map(Number)).to.include.members(codes);
    });

    it(`${command} with an option that it does not have ends with 2, names it and does nothing`, async () => {
      const { asked, err, exitCode, out } = await run([
        ...command.split(" "),
        ...(required[command] ?? []),
        "--no-such-option",
      ]);
      expect([exitCode, out, asked]).to.deep.equal([2, "", []]);
      expect(err).to.equal(
        `error: unknown option '--no-such-option'\nhint: \`qdrant-dr ${command} --help\` shows what it takes\n`,
      );
    });
  }

  const wrong: [args: string[], said: string][] = [
    [["back-up"], "unknown command 'back-up'"],
    [["recovery-points", "show"], "unknown command 'show'"],
    [["recovery-points", "--all", "show"], "unknown command 'show'"],
    [["recovery-points", "list", "extra"], "too many arguments"],
    [["backup", "--stack"], "argument missing"],
    [["backup", "--stack", "prod", "--type", "partial"], "Allowed choices are full, incremental"],
    [["backup", "--stack", "prod", "extra"], "too many arguments"],
    [["estate", "init"], "required option '--foundation <file>'"],
    [["export", "monitoring"], "missing required argument 'folder'"],
    [["estate", "init", "--foundation"], "argument missing"],
    [["failover", "run", "--to", "dr", "--accept-data-loss", "-1"], "It must be a number, 0 or more."],
    [["failover", "run", "--to", "dr", "--accept-data-loss", "soon"], "It must be a number, 0 or more."],
    [["quickstart", "--points", ""], "It must be a number, 0 or more."],
    [["quickstart", "--port", "80"], "It must be a port, 1024 to 65535."],
    [["quickstart", "--port", "6333.5"], "It must be a port, 1024 to 65535."],
    [["quickstart", "--port", "65536"], "It must be a port, 1024 to 65535."],
  ];
  for (const [args, said] of wrong) {
    it(`\`${args.join(" ")}\` ends with 2, says why, and does nothing`, async () => {
      const { asked, err, exitCode, out } = await run(args);
      expect([exitCode, out, asked]).to.deep.equal([2, "", []]);
      expect(err)
        .to.match(/^error: [^\n]+\nhint: [^\n]+--help[^\n]+\n$/)
        .and.contain(said);
    });
  }

  it("says a wrong option as JSON too when that is asked for", async () => {
    const { exitCode, out } = await run(["estate", "init", "--json"]);
    expect(exitCode).to.equal(2);
    expect(JSON.parse(out).error).to.include({ code: "USAGE", exitCode: 2, retryable: false });
  });

  it("declares for every command what it answers with --json", () => {
    const { commands: top } = buildProgram("0", async () => undefined);
    const names = top.flatMap((command) =>
      command.commands.length === 0
        ? [command.name()]
        : command.commands.map((each) => `${command.name()} ${each.name()}`),
    );
    expect(Object.keys(commandAnswers)).to.deep.equal(commands).and.have.members(names);
  });

  it("without a command shows the help and ends with 2", async () => {
    const { err, exitCode, out } = await run([]);
    expect([exitCode, out]).to.deep.equal([2, ""]);
    expect(err).to.contain("Usage: qdrant-dr").and.contain("quickstart");
  });

  it("says an error in one line and its hint in another, and exits with its code", async () => {
    const { err, exitCode, out } = await run(["recovery-points", "list", "--stack", "prod"], async () => {
      throw new DrError("STACK_NOT_FOUND", "there is no stack prod", { hint: "look at the list" });
    });
    expect([exitCode, out]).to.deep.equal([2, ""]);
    expect(err).to.equal("error: there is no stack prod\nhint: look at the list\n");
  });

  it("--json says the same error as one object on the last line of the output", async () => {
    const { err, exitCode, out } = await run(["recovery-points", "list", "--stack", "prod", "--json"], async () => {
      throw new DrError("UNREACHABLE", "nobody there", { hint: "knock" });
    });
    const error = { code: "UNREACHABLE", exitCode: 5, message: "nobody there", hint: "knock", retryable: true };
    expect(exitCode).to.equal(5);
    expect(JSON.parse(out)).to.deep.equal({ error });
    expect(err).to.equal("error: nobody there\nhint: knock\n");
  });

  it("calls what nobody foresaw a defect, exit code 1, with how to report it", async () => {
    const { err, exitCode } = await run(["recovery-points", "list", "--stack", "prod"], async () => {
      throw new TypeError("x is not a function");
    });
    expect(exitCode).to.equal(1);
    expect(err).to.equal(
      "error: x is not a function\nhint: this is a defect: please report it with the output of QDRANT_DR_DEBUG=1\n",
    );
  });

  describe("of a region whose servers are gone", () => {
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-cli-"));
    after(() => rmSync(folder, { recursive: true, force: true }));

    const table: [args: string[], exitCode: number][] = [
      [["status"], 0],
      [["backup"], 5],
      [["recovery-points", "list"], 5],
      [["verify"], 5],
      [["restore"], 5],
    ];
    for (const [args, expected] of table) {
      it(`${args[0]} ends with ${expected} and shows none of its secrets, in words, as JSON and in debug output`, async () => {
        const { outputs, secrets } = await lonelyRegion("prod", folder);
        for (const more of [[], ["--json"]]) {
          const outputsGiven = ["--stack", "prod", "--outputs", "given"];
          const answered = await run([...args, ...outputsGiven, ...more], async () => new RegionAccess(outputs), true);
          expect(answered.exitCode, answered.err).to.equal(expected);
          const said = answered.out + answered.err + answered.progress;
          expect(said).to.contain("does not answer");
          for (const secret of secrets) expect(said).not.to.contain(secret);
        }
      }).timeout(30_000);
    }
  });
});

/** Names of the commands that a help lists, each with a summary. */
function listedIn(help: string): (string | undefined)[] {
  const names = [...help.matchAll(/^ {2}([a-z][a-z-]*)(?: \S+)* {2,}\S/gm)].map(([, name]) => name);
  return names.filter((name) => name !== "help");
}

async function run(args: string[], access: Deps["access"] = neverAsked, isDebug = false) {
  const said = { out: "", err: "", progress: "" };
  const asked: string[] = [];
  const deps: Deps = {
    clock: systemClock,
    progress: ({ detail, step }) => (said.progress += `${step}: ${detail}\n`),
    toolVersion: "0.0.0-test",
    onInterrupt: () => () => {},
    stacks: () => neverAsked(),
    cluster: () => neverAsked(),
    store: () => {
      throw new Error("no store is asked");
    },
    signedStore: () => {
      throw new Error("no store is asked");
    },
    signingKey: async () => signing,
    pruner: () => {
      throw new Error("nothing is deleted");
    },
    storeProtection: () => neverAsked(),
    writerRights: () => neverAsked(),
    folderTarget: new LocalFolders(),
    snapshotFile: () => neverAsked(),
    newFiles: () => {
      throw new Error("no file is written");
    },
    runner: { mark: undefined, isDead: () => false },
    textFiles: () => expect.fail("no files"),
    reportsFolder: "no-reports",
    hooks: () => neverAsked(),
    serveMetrics: () => neverAsked(),
    ownCommands: () => ({
      start: () => {
        throw new Error("no command is started");
      },
    }),
    alertReceivers: () => neverAsked(),
    localNote: () => ({ read: () => neverAsked(), write: () => neverAsked() }),
    database: () => {
      throw new Error("no database is asked");
    },
    settings: async () => undefined,
    runGate: () => neverAsked(),
    initTools: {
      terminal: {
        isInteractive: false,
        ask: () => neverAsked(),
        askSecret: () => neverAsked(),
        show: () => undefined,
      },
      files: { read: () => neverAsked(), create: () => neverAsked() },
      identities: { make: () => neverAsked(), recipientOf: () => neverAsked() },
      settingsPath: () => "qdrant-dr.yaml",
      readSettings: async () => undefined,
      parseSettings: () => {
        throw new Error("no settings are read");
      },
      openSettings: () => neverAsked(),
      open: () => {
        throw new Error("no region is opened");
      },
      prepareStore: () => neverAsked(),
    },
    access(stack, options) {
      asked.push(stack ?? "the one of the settings");
      return access(stack, options);
    },
  };
  const before = process.env["QDRANT_DR_DEBUG"];
  if (isDebug) process.env["QDRANT_DR_DEBUG"] = "1";
  try {
    const exitCode = await runCli(args, deps, {
      out: (text) => (said.out += `${text}\n`),
      err: (text) => (said.err += `${text}\n`),
    });
    return { exitCode, asked, ...said };
  } finally {
    if (before === undefined) delete process.env["QDRANT_DR_DEBUG"];
    else process.env["QDRANT_DR_DEBUG"] = before;
  }
}

async function neverAsked(): Promise<never> {
  throw new Error("nothing may be asked");
}
