/** What a region's Qdrant is called and listens on. */
export const qdrantName = "qdrant";
export const qdrantPorts = { http: 6333, grpc: 6334, peers: 6335 } as const;
/** The gate's: clients address it as if it were Qdrant. */
export const gatePort = 6333;
/** Where the exporter serves metrics. */
export const metricsPort = 9464;
