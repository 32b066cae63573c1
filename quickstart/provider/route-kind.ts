/** `embedded:index:Route`: the public endpoint points to this region. Declared by the active region's stack alone. */
import { z } from "zod";
import { EndpointControl } from "../../runtime/adapters/endpoint-control.ts";
import { hasCode } from "../../runtime/errors.ts";
import { checkInputs } from "./checked-inputs.ts";
import type { ResourceKind } from "./resource-kind.ts";

const routeSchema = z.object({
  controlUrl: z.url(),
  controlToken: z.string(),
  region: z.string(),
  epoch: z.number().int().positive(),
});

export const routeKind: ResourceKind = {
  check: (inputs) => checkInputs(routeSchema, inputs),
  async diff(olds, news) {
    const properties = ["controlUrl", "controlToken", "region", "epoch"];
    return { changes: olds["isInForce"] !== true || properties.some((property) => olds[property] !== news[property]) };
  },
  async apply(inputs) {
    const { epoch, region, ...control } = routeSchema.parse(inputs);
    await new EndpointControl(control).pointTo({ region, epoch });
    return { id: region, facts: { isInForce: true } };
  },
  async read(properties) {
    const { epoch, region, ...control } = routeSchema.parse(properties);
    try {
      const current = await new EndpointControl(control).current();
      return { isInForce: current?.region === region && current.epoch === epoch };
    } catch (error) {
      if (hasCode(error, "UNREACHABLE")) return { isInForce: false };
      throw error;
    }
  },
  /** Clients keep their region until another one is made active: taking a route away would only be an outage. */
  async remove() {},
};
