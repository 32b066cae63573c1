/** Names in the topmost folder of a volume that are no content of it. */

/** Made by the file system itself. */
export const lostAndFound = "lost+found";

/** Drafts of a restore into a volume begin so: they are in it, because nothing can be moved into it from elsewhere. */
export const draftInVolume = ".qdrant-dr-restoring-";

/** Says that a draft is being moved into the volume, which was empty, and which names belong to it. */
export const moving = ".qdrant-dr-moving.json";
