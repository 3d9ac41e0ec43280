/**
 * What the operator can do, one idempotent action each. A step leaves no choice to the moment in
 * which it is applied, and carries the version it was decided on: an adapter that finds another
 * one refuses with `stale`, and the controller looks again.
 */
import type { SecretPurpose } from './names';
import type { ClusterState } from './state';

export type Step = SwarmStep | RecordStep | ForgetStep;

export type SwarmStep =
  | { readonly kind: 'create-network'; readonly network: NetworkDesired }
  | { readonly kind: 'create-secret'; readonly secret: SecretDesired }
  | { readonly kind: 'create-service'; readonly service: ServiceDesired }
  | {
      readonly kind: 'update-service';
      readonly service: ServiceDesired;
      readonly id: string;
      readonly version: number;
      /** Paths that differ, for people. */
      readonly differences: readonly string[];
    }
  | { readonly kind: 'remove-service'; readonly id: string; readonly name: string }
  | { readonly kind: 'remove-secret'; readonly id: string; readonly name: string }
  | { readonly kind: 'remove-network'; readonly id: string; readonly name: string }
  | {
      /** A job on the node, because volumes can only be removed by their own node's Docker. */
      readonly kind: 'remove-volumes';
      readonly server: string;
      readonly nodeId: string;
      readonly image: string;
      readonly volumes: readonly string[];
    };

/** Write the cluster's state record; assignments to the instances follow from it. */
export interface RecordStep {
  readonly kind: 'record';
  readonly next: ClusterState;
  /** What this makes happen: `stop PostgreSQL on pg1`. */
  readonly summary: string;
}

export interface NetworkDesired {
  readonly name: string;
  readonly cluster: string;
  readonly subnet: string;
}

/** Remove the cluster's own records: the last step of a deletion. */
export interface ForgetStep {
  readonly kind: 'forget';
  readonly cluster: string;
}

/** The value itself is derived by the adapter from the root key, and is never in a step. */
export interface SecretDesired {
  readonly name: string;
  readonly cluster: string;
  readonly purpose: SecretPurpose;
}

export interface ServiceDesired {
  readonly name: string;
  readonly server: string;
  /** Docker's `ServiceSpec`, with network and secret names still to be replaced by their ids. */
  readonly spec: ServiceSpecDesired;
}

/** The part of Docker's ServiceSpec that pgswarm decides (Docker API v1.41, `ServiceCreate`). */
export interface ServiceSpecDesired {
  readonly Name: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly TaskTemplate: {
    readonly ContainerSpec: Readonly<Record<string, unknown>>;
    readonly Placement: { readonly Constraints: readonly string[] };
    readonly RestartPolicy: Readonly<Record<string, unknown>>;
    readonly Networks: readonly { readonly Target: string; readonly Aliases?: readonly string[] }[];
  };
  readonly Mode: { readonly Replicated: { readonly Replicas: number } };
  readonly UpdateConfig: Readonly<Record<string, unknown>>;
  readonly EndpointSpec: Readonly<Record<string, unknown>>;
}

/** One line for people: plans, events and logs say it in these words. */
export function describe(step: Step): string {
  switch (step.kind) {
    case 'create-network':
      return `create the overlay network ${step.network.name} (${step.network.subnet})`;
    case 'create-secret':
      return `create the secret ${step.secret.name}`;
    case 'create-service':
      return `create the service ${step.service.name} for server ${step.service.server}`;
    case 'update-service':
      return `update the service ${step.service.name}: ${step.differences.join(', ')}`;
    case 'remove-service':
      return `remove the service ${step.name}`;
    case 'remove-secret':
      return `remove the secret ${step.name}`;
    case 'remove-network':
      return `remove the network ${step.name}`;
    case 'remove-volumes':
      return `remove the volumes ${step.volumes.join(' and ')} of server ${step.server}: its data is gone for good`;
    case 'record':
      return step.summary;
    case 'forget':
      return `forget the cluster ${step.cluster}`;
  }
}
