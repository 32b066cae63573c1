/**
 * The cause of a store's error after which the same request may go well, and that nothing has repeated yet: at once, or when the
 * store is no longer busy.
 */
export class WorthRepeating extends Error {
  readonly when: "at once" | "busy";

  constructor(message: string, options?: ErrorOptions, when: "at once" | "busy" = "at once") {
    super(message, options);
    this.when = when;
  }
}
