/**
 * An emulator of AWS for a test: MiniStack on a free port, all state in its memory. It takes the calls and checks some of them;
 * what it accepts proves nothing about AWS.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killed } from "../faults/killed.ts";
import { isOk, untilReady } from "../time/until-ready.ts";
import { freePorts } from "./free-ports.ts";

const longestStartMs = 60_000;
/** Whose everything is. */
export const awsAccount = "111122223333";

export class AwsEmulator {
  /** For a process that uses an AWS SDK. */
  readonly env: Readonly<Record<string, string>>;
  readonly #url: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "qdrant-dr-aws-"));
  #process: ChildProcess | undefined;

  private constructor(port: number) {
    this.#url = `http://127.0.0.1:${port}`;
    this.env = {
      AWS_ENDPOINT_URL: this.#url,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWS_EC2_METADATA_DISABLED: "true",
    };
  }

  static async start(): Promise<AwsEmulator> {
    const [port = 0] = await freePorts(1);
    const emulator = new AwsEmulator(port);
    try {
      await emulator.#start(port);
      return emulator;
    } catch (error) {
      await emulator.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    await killed(child);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(port: number): Promise<void> {
    const child = spawn("aws-emulator", {
      cwd: this.#folder,
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        PATH: process.env["PATH"],
        HOME: this.#folder,
        TMPDIR: this.#folder,
        BIND_HOST: "127.0.0.1",
        GATEWAY_PORT: String(port),
        MINISTACK_ACCOUNT_ID: awsAccount,
        IOT_MTLS_ENABLED: "0",
        SFTP_ENABLED: "0",
        LOG_LEVEL: "ERROR",
      },
    });
    this.#process = child;
    let said = "";
    child.stderr.on("data", (piece) => {
      said = `${said}${piece}`.slice(-2_000);
    });
    await once(child, "spawn");
    const isReady = () => isOk(`${this.#url}/_ministack/health`);
    await untilReady(child, `the emulator of AWS at ${this.#url}`, longestStartMs, isReady, () => said);
  }
}
