/** The person who started the command, if there is one. */
export interface Terminal {
  /** False: nobody answers questions. */
  readonly isInteractive: boolean;
  /** Throws USAGE when the input ends instead. */
  ask(question: string, fallback?: string): Promise<string>;
  /** What is typed is not shown. */
  askSecret(question: string): Promise<string>;
  /** Shows a text at once, which is no part of the answer and in no log of ours. */
  show(text: string): void;
}
