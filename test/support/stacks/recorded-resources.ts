/**
 * What a program registers, under Pulumi's mocks: types, names, inputs, what of them is secret, parents and options. The
 * mocks know no provider: whether one accepts it is proven with the engine.
 */
import * as pulumi from "@pulumi/pulumi";

export interface Registration {
  readonly type: string;
  readonly name: string;
  /** URN; empty for the stack. */
  readonly parent: string;
  readonly urn: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Inputs that are secret, or that something secret is in. */
  readonly secretInputs: readonly string[];
  readonly dependencies: readonly string[];
  readonly retainOnDelete: boolean;
  readonly protect: boolean;
  readonly ignoreChanges: readonly string[];
  /** URN and id of the provider; empty for the default one. */
  readonly provider: string;
}

/** Of the monitor's request, what is looked at here (pulumi sdk/proto/pulumi/resource.proto). */
interface RegisterRequest {
  getParent(): string;
  getDependenciesList(): string[];
  getRetainondelete(): boolean;
  getProtect(): boolean;
  getIgnorechangesList(): string[];
  getProvider(): string;
}

export class RecordedResources {
  readonly #requests: RegisterRequest[] = [];
  readonly #registered: pulumi.runtime.MockResourceArgs[] = [];
  readonly #project: string;
  readonly #stack: string;

  /** Takes the place of the monitor from now on. `outputsOf` gives what a provider would add to a resource's inputs. */
  constructor(stack: string, { outputsOf = () => ({}), project = "qdrant-dr" }: RecordingOptions = {}) {
    this.#stack = stack;
    this.#project = project;
    pulumi.runtime.setMocks(
      {
        newResource: (args) => {
          this.#registered.push(args);
          return { id: `${args.name}-id`, state: { ...args.inputs, ...outputsOf(args) } };
        },
        call: ({ inputs }) => inputs,
      },
      project,
      stack,
    );
    this.#watchRequests();
  }

  get count(): number {
    return this.#registered.length;
  }

  /** Waits until everything that was declared is registered; answers what came after the first `from`. */
  async since(from: number): Promise<Registration[]> {
    await pulumi.runtime.disconnect();
    return this.#registrations().slice(from);
  }

  /** The monitor of the mocks does not hand on parents and options: its requests are looked at on their way. */
  #watchRequests(): void {
    const monitor = pulumi.runtime.getMonitor() as unknown as {
      registerResource(request: RegisterRequest, callback: unknown): Promise<void>;
    };
    const register = monitor.registerResource.bind(monitor);
    monitor.registerResource = (request, callback) => {
      this.#requests.push(request);
      return register(request, callback);
    };
  }

  #registrations(): Registration[] {
    return this.#requests.map((request, index): Registration => {
      const { inputs, name, type } = this.#registered[index] as pulumi.runtime.MockResourceArgs;
      const parent = request.getParent();
      const parentType = parent === "" ? "" : `${parent.split("::")[2]?.split("$").at(-1)}$`;
      const given = Object.entries(inputs as Record<string, unknown>);
      return {
        type,
        name,
        parent,
        urn: `urn:pulumi:${this.#stack}::${this.#project}::${parentType}${type}::${name}`,
        inputs: Object.fromEntries(given.map(([property, value]) => [property, withoutSecrets(value)])),
        secretInputs: given.filter(([, value]) => holdsSecret(value)).map(([property]) => property),
        dependencies: request.getDependenciesList(),
        retainOnDelete: request.getRetainondelete(),
        protect: request.getProtect(),
        ignoreChanges: request.getIgnorechangesList(),
        provider: request.getProvider(),
      };
    });
  }
}

interface RecordingOptions {
  readonly outputsOf?: (args: pulumi.runtime.MockResourceArgs) => Record<string, unknown>;
  readonly project?: string;
}

export function one(resources: readonly Registration[], name: string): Registration {
  const [found, ...more] = resources.filter((resource) => resource.name === name);
  if (found === undefined || more.length > 0) throw new Error(`not one ${name}`);
  return found;
}

export function known<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => output.apply(resolve));
}

function withoutSecrets(value: unknown): unknown {
  const plain = pulumi.runtime.unwrapRpcSecret(value);
  if (Array.isArray(plain)) return plain.map(withoutSecrets);
  if (typeof plain !== "object" || plain === null) return plain;
  return Object.fromEntries(Object.entries(plain).map(([name, member]) => [name, withoutSecrets(member)]));
}

function holdsSecret(value: unknown): boolean {
  if (pulumi.runtime.isRpcSecret(value)) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(holdsSecret);
}
