/** Translates refusals of Pulumi (3.259) into errors that say what to do. */
import { DrError, type ErrorCode } from "../../errors.ts";
import { locksIn } from "./update-lock.ts";

interface Refusal {
  readonly pattern: RegExp;
  readonly code?: ErrorCode;
  readonly message: (stack: string, text: string) => string;
  readonly hint: (stack: string) => string;
}

const refusals: readonly Refusal[] = [
  {
    pattern: /no stack named/,
    code: "STACK_NOT_FOUND",
    message: (stack) => `there is no stack ${stack} in this backend`,
    hint: () => "check the name with `pulumi stack ls`, and PULUMI_BACKEND_URL",
  },
  {
    pattern: /currently locked by/,
    message: (stack, text) => `stack ${stack} is locked by another update${holdersOf(text)}`,
    hint: (stack) => `wait for it; if it was killed, \`pulumi cancel --stack ${stack}\` and run it again`,
  },
  {
    pattern: /does not have output property/,
    message: (stack) => `stack ${stack} has no outputs: it was never brought up`,
    hint: (stack) => `\`pulumi up --stack ${stack}\`, or check the name and PULUMI_BACKEND_URL`,
  },
  {
    pattern: /passphrase must be set/,
    message: (stack) => `the secrets of stack ${stack} need a passphrase, and none is set`,
    hint: () => "set PULUMI_CONFIG_PASSPHRASE_FILE, or PULUMI_CONFIG_PASSPHRASE",
  },
  {
    pattern: /incorrect passphrase/,
    message: (stack) => `the secrets of stack ${stack} do not open with the passphrase that is set`,
    hint: () => "set the one that the stack was made with: PULUMI_CONFIG_PASSPHRASE_FILE, or PULUMI_CONFIG_PASSPHRASE",
  },
  {
    pattern: /PULUMI_ACCESS_TOKEN must be set/,
    message: (stack) => `it is not known in which state backend stack ${stack} is`,
    hint: () => "name it with PULUMI_BACKEND_URL, or `pulumi login <url>`",
  },
  {
    // The first file that is read of a backend, and what is asked of it before.
    pattern: /\.pulumi\/meta\.yaml|unable to open (state directory|bucket)|the state backend does not answer/,
    message: (stack, text) => `the state backend of stack ${stack} cannot be read: ${lastReason(text)}`,
    hint: () =>
      "check PULUMI_BACKEND_URL and its credentials; is it of a region that is lost, use the copy in the other one",
  },
  {
    pattern: /Could not automatically download and install/,
    message: (stack, text) => `stack ${stack} needs a provider that cannot be fetched: ${lastReason(text)}`,
    hint: () => "let this machine reach the internet, or install it with `pulumi plugin install`",
  },
];

export function refusalIn(stack: string, text: string): DrError | undefined {
  const known = refusals.find(({ pattern }) => pattern.test(text));
  if (known === undefined) return undefined;
  return new DrError(known.code ?? "PULUMI_FAILED", known.message(stack, text), { hint: known.hint(stack) });
}

function holdersOf(text: string): string {
  const holders = locksIn(text).map(({ at, host, pid, user }) => `${user} on ${host}, process ${pid}, since ${at}`);
  return holders.length === 0 ? "" : `: ${holders.join("; ")}`;
}

/** Go's errors wrap each other; what happened stands last. */
function lastReason(text: string): string {
  const line = text.split("\n").find((each) => each.includes("error:")) ?? text.trim();
  return line
    .replace(/^.*error: /, "")
    .split(": ")
    .slice(-2)
    .join(": ")
    .slice(0, 200);
}
