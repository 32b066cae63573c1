/** A section of a runbook: its commands as they stand there, each of which is run once. */
import type { PracticePair, RunOptions } from "../estates/practice-pair.ts";
import { type ShownCommand, shownCommands, toldToProduct } from "./shown-commands.ts";

export class Runbook {
  /** Its document, or the heading of its section. */
  readonly name: string;
  readonly #pair: () => PracticePair;
  readonly #left: ShownCommand[];

  /** @param heading only what stands below this one. */
  constructor(pair: () => PracticePair, document: string, heading?: string) {
    this.name = heading ?? document;
    this.#pair = pair;
    this.#left = shownCommands(document).filter(
      (command) => (heading === undefined || command.heading === heading) && toldToProduct(command.line) !== undefined,
    );
  }

  /** The next of its commands, which says this. */
  async run(part: string, options?: RunOptions): Promise<string> {
    const at = this.#left.findIndex(({ line }) => line.includes(part));
    const [command] = at < 0 ? [] : this.#left.splice(at, 1);
    if (command === undefined) throw new Error(`no command with \`${part}\` is left`);
    return this.#pair().run(command.line, options);
  }

  /** What was not run. */
  get left(): readonly string[] {
    return this.#left.map(({ line }) => line);
  }
}
