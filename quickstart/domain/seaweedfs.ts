/** How a SeaweedFS server with its S3 gateway is started on one machine (weed 4.48). */

/** How many ports it takes, from its first one on. */
export const storePorts = 8;

export function storeArguments(folder: string, first: number, address = "127.0.0.1"): string[] {
  return [
    "server",
    `-dir=${folder}`,
    `-ip=${address}`,
    `-ip.bind=${address}`,
    "-s3",
    "-filer",
    `-s3.port=${first}`,
    `-s3.port.grpc=${first + 1}`,
    `-master.port=${first + 2}`,
    `-master.port.grpc=${first + 3}`,
    `-volume.port=${first + 4}`,
    `-volume.port.grpc=${first + 5}`,
    `-filer.port=${first + 6}`,
    `-filer.port.grpc=${first + 7}`,
    "-s3.iam=false",
    "-s3.allowDeleteBucketNotEmpty=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-master.volumeSizeLimitMB=256",
    "-master.electionTimeout=1s",
    "-master.telemetry=false",
    "-volume.max=0",
    "-volume.preStopSeconds=0",
  ];
}

/**
 * What answers 2xx when it can be read and written, its first port being `first`. The gateway says that it is well seconds before
 * the volumes have reported to the master; until then each object is answered with 500.
 */
export function storeReadyUrls(first: number, address = "127.0.0.1"): string[] {
  return [`http://${address}:${first}/healthz`, `http://${address}:${first + 2}/dir/assign`];
}

/** SeaweedFS puts its local sockets into /tmp, whatever it is told. */
export function storeSockets(first: number): string[] {
  const socket = (what: string, port: number) => `/tmp/seaweedfs-${what}-${port}.sock`;
  return [
    socket("s3", first),
    socket("s3-grpc", first + 1),
    socket("master-grpc", first + 3),
    socket("volume-grpc", first + 5),
    socket("filer", first + 6),
    socket("filer-grpc", first + 7),
  ];
}
