/** A stack's name as Pulumi takes it: `prod`, `project/prod` or `organization/project/prod`. Its last part is the region's name. */
export interface StackName {
  /** All before the region's name, with the slash; empty when the name has no more parts. */
  readonly owner: string;
  readonly region: string;
}

export function parseStackName(stack: string): StackName {
  const end = stack.lastIndexOf("/") + 1;
  return { owner: stack.slice(0, end), region: stack.slice(end) };
}
