/** Commands of this program as processes of their own: one that crashes, or takes all memory, takes nothing else with it. */
export interface OwnCommands {
  /** @param tell hears each line that it says while it runs. */
  start(args: readonly string[], tell: (line: string) => void): StartedCommand;
}

export interface StartedCommand {
  /** Never rejects. */
  readonly ended: Promise<CommandEnd>;
  /** Stops it as Ctrl-C does: it cleans up. */
  interrupt(): void;
}

export type CommandEnd =
  | { readonly kind: "done" }
  | { readonly kind: "interrupted" }
  | { readonly kind: "failed"; readonly error: CommandError }
  /** It could not say how it ended: it was killed, or could not be started. */
  | { readonly kind: "lost"; readonly error: CommandError };

export interface CommandError {
  readonly code: string;
  readonly exitCode: number;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly retryable: boolean;
}
