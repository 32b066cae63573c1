/** The cause of a store's error after which the same request may go well at once, and that nothing has repeated yet. */
export class WorthRepeating extends Error {}
