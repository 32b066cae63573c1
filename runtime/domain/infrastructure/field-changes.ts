/** How two states of an object differ, field by field, and whether one holds all of the other. */
import { isRecord, lineOf } from "../exact-json.ts";

export interface FieldChange {
  /** ".spec.replicas" */
  readonly field: string;
  /** Absent: there was none. */
  readonly before?: unknown;
  /** Absent: there is none. */
  readonly after?: unknown;
}

export function fieldChanges(before: unknown, after: unknown, field = ""): FieldChange[] {
  if (isRecord(before) && isRecord(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return names.flatMap((name) => fieldChanges(before[name], after[name], `${field}${memberName(name)}`));
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    return before.flatMap((element, index) => fieldChanges(element, after[index], `${field}[${index}]`));
  }
  if (lineOf(before) === lineOf(after)) return [];
  return [
    {
      field: field === "" ? "." : field,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    },
  ];
}

/** The fields of `wanted` that `actual` has not, or has with another value. What `actual` has besides is fine. */
export function fieldsLacking(wanted: unknown, actual: unknown, field = ""): string[] {
  if (isRecord(wanted) && isRecord(actual)) {
    return Object.entries(wanted).flatMap(([name, member]) =>
      fieldsLacking(member, actual[name], `${field}${memberName(name)}`),
    );
  }
  if (Array.isArray(wanted) && Array.isArray(actual)) {
    return wanted.flatMap((element, index) =>
      actual.some((candidate) => fieldsLacking(element, candidate).length === 0) ? [] : [`${field}[${index}]`],
    );
  }
  return lineOf(wanted) === lineOf(actual) ? [] : [field];
}

function memberName(name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_-]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}
