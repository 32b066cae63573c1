import type { Region } from "../domain/region.ts";

export interface StackEvent {
  readonly kind: "resource" | "message";
  readonly text: string;
}

/** Throws STACK_NOT_FOUND or PULUMI_FAILED. */
export interface StackExports {
  /** The stack's state as `pulumi stack import` takes it; its secrets stay encrypted by the stack's own provider. */
  exportState(stack: string): Promise<{ readonly state: string; readonly changedAt: Date }>;
}

/** The stacks of this project, driven through the Automation API. Throws STACK_NOT_FOUND or PULUMI_FAILED. */
export interface Stacks {
  region(stack: string): Promise<Region>;
  up(
    stack: string,
    onEvent: (event: StackEvent) => void,
  ): Promise<{ readonly changes: Readonly<Record<string, number>> }>;
  /** Counts the changes that `up` would make now, by operation, compared with the real resources. Changes nothing. */
  preview(stack: string): Promise<{ readonly changes: Readonly<Record<string, number>> }>;
}
