/** Where the parts of a region in a cluster listen, and what a job's pod reaches within itself. */

export const qdrantPorts = { http: 6333, grpc: 6334, peers: 6335 } as const;
/** Clients address the gate as if it were Qdrant; its control is not theirs. */
export const gatePorts = { http: 6333, grpc: 6334, control: 6435 } as const;
/** The exporter serves metrics here. */
export const exporterPort = 9464;
/** The Qdrant that lives in the pod of a test restore. */
export const throwawayQdrantUrl = `http://127.0.0.1:${qdrantPorts.http}`;
