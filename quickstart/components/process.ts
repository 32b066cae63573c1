import * as pulumi from "@pulumi/pulumi";

export interface ProcessArgs {
  /** The estate it belongs to. */
  readonly estate: pulumi.Input<string>;
  readonly name: pulumi.Input<string>;
  /** A program on PATH. */
  readonly command: pulumi.Input<string>;
  readonly args: pulumi.Input<readonly string[]>;
  /** Environment; secrets belong here. */
  readonly env: pulumi.Input<Readonly<Record<string, pulumi.Input<string>>>>;
  /** Its working folder, kept when the process is removed. */
  readonly folder: pulumi.Input<string>;
  /** Ports on 127.0.0.1 that must be free. */
  readonly ports: pulumi.Input<readonly number[]>;
  /** Ready when each of these answers 2xx. */
  readonly readyUrls: pulumi.Input<readonly string[]>;
  /**
   * Files outside `folder` that the program leaves behind.
   * @default none
   */
  readonly leftovers?: pulumi.Input<readonly string[]>;
}

/** A program on this machine that runs until it is removed; `refresh` notices when it died, and `up` starts it again. */
export class Process extends pulumi.CustomResource {
  declare readonly pid: pulumi.Output<number>;
  declare readonly isRunning: pulumi.Output<boolean>;

  constructor(name: string, args: ProcessArgs, opts?: pulumi.CustomResourceOptions) {
    const facts = { pid: undefined, isRunning: undefined };
    super("embedded:index:Process", name, { leftovers: [], ...args, ...facts }, opts);
  }
}
