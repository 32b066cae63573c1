/** What is wrong with settings, in words: the setting's name, what was given, what is allowed. */
import type { z } from "zod";
import { withoutLogin } from "../server-address.ts";
import { secretWanted } from "./secret-reference.ts";

/** @param showsGroups false: of what was given only plain values are shown; a group may hold a secret in a wrong place. */
export function problemsInWords(
  issues: readonly z.core.$ZodIssue[],
  given: unknown,
  { showsGroups = true }: { readonly showsGroups?: boolean } = {},
): string[] {
  return issues.map((issue) => {
    const path = issue.path.join(".");
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => `${path === "" ? key : `${path}.${key}`}: there is no such setting`).join("; ");
    }
    const allowed = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : issue.message;
    const value = valueAt(given, issue.path);
    const isHidden = value !== undefined && (allowed === secretWanted || (!showsGroups && typeof value === "object"));
    const subject = path === "" ? "" : `${path}: `;
    return `${subject}${isHidden ? "what is given" : shown(value)} is not allowed (${allowed})`;
  });
}

function valueAt(given: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | null | undefined)?.[key], given);
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  return JSON.stringify(value, (_, part: unknown) => (typeof part === "string" ? withoutLogin(part) : part));
}
