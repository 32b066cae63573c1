/**
 * The number of collections that are looked at, made and compared at a time. Each takes a few megabytes here, and twice the shard that
 * it unpacks on the target's disk: more of them would fill disks that hold the data itself well.
 */
export const collectionsAtOnce = 4;
