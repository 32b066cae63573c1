import * as pulumi from "@pulumi/pulumi";
import { type ExistingQdrant, grpcUrlOf } from "../../runtime/domain/settings/kubernetes-settings.ts";
import type { QdrantCluster } from "./qdrant-cluster.ts";

/** A region's Qdrant, whoever made it. */
export type RegionQdrant = Pick<QdrantCluster, "urls" | "serviceUrl" | "grpcUrl" | "apiKey">;

/** A Qdrant that is there already: nothing is declared of it. */
export function existingQdrant(existing: ExistingQdrant, apiKey: pulumi.Output<string>): RegionQdrant {
  const { serviceUrl, urls } = existing;
  return {
    urls: pulumi.output([...urls]),
    serviceUrl: pulumi.output(serviceUrl),
    grpcUrl: pulumi.output(grpcUrlOf(existing)),
    apiKey,
  };
}
