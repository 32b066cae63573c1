/** Asks on the terminal, and shows on the error output: the other one is for the answer. */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { printable } from "../domain/printable.ts";
import { DrError } from "../errors.ts";
import type { Terminal } from "../ports/terminal.ts";

export const processTerminal: Terminal = {
  get isInteractive() {
    return process.stdin.isTTY === true && process.stderr.isTTY === true;
  },
  async ask(question, fallback) {
    const shown = fallback === undefined ? `${question}: ` : `${question} [${fallback}]: `;
    return (await prompt(printable(shown), false)).trim() || (fallback ?? "");
  },
  async askSecret(question) {
    return (await prompt(`${question}: `, true)).trim();
  },
  show: (text) => void process.stderr.write(`${printable(text)}\n`),
};

async function prompt(question: string, isSecret: boolean): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({
    input: process.stdin,
    output: isSecret ? silent : process.stderr,
    terminal: true,
    historySize: 0,
  });
  // In raw mode the key does not make the signal by itself.
  reader.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  if (isSecret) process.stderr.write(question);
  const ended = new Promise<never>((_, reject) => {
    reader.once("close", () =>
      reject(
        new DrError("USAGE", "the input ended before all was answered", {
          hint: "give the answers as options; `qdrant-dr init --help` lists them",
        }),
      ),
    );
  });
  try {
    return await Promise.race([reader.question(isSecret ? "" : question), ended]);
  } finally {
    ended.catch(() => {});
    reader.close();
    if (isSecret) process.stderr.write("\n");
  }
}
