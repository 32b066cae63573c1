/** How much is done side by side where several workflows do the same. */

/** Collections are asked of one Qdrant, which has a few web workers: more wait there, and keep clients waiting. */
export const collectionsAtOnce = 4;
