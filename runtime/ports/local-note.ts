/** A short text that stays on this machine when the process ends, as far as that can be: whoever reads it must do without. */
export interface LocalNote {
  /** Undefined when there is none, or it cannot be read. */
  read(): Promise<string | undefined>;
  /** Undefined: there is nothing to keep any more. What cannot be written is not. */
  write(text: string | undefined): Promise<void>;
}
