// The CustomResourceDefinitions of Weft, made of the same zod schemas that read the YAML files.
import { meshPolicySchema } from '#shared/resources/mesh-policy.ts'
import { trafficPolicySchema } from '#shared/resources/traffic-policy.ts'
import { policyStatusSchema } from './policy-status.ts'
import { type StructuralSchema, structuralSchema } from './structural.ts'

interface PrinterColumn {
  readonly name: string
  readonly type: 'string' | 'date' | 'integer'
  readonly jsonPath: string
  readonly description: string
}

interface Definition {
  readonly kind: string
  readonly plural: string
  readonly shortNames: readonly string[]
  readonly description: string
  readonly spec: Parameters<typeof structuralSchema>[0]
  readonly columns: readonly PrinterColumn[]
}

export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1'
  readonly kind: 'CustomResourceDefinition'
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  readonly spec: {
    readonly group: string
    readonly scope: 'Namespaced'
    readonly names: Readonly<Record<string, unknown>>
    readonly versions: readonly {
      readonly name: string
      readonly served: true
      readonly storage: true
      readonly subresources: { readonly status: Readonly<Record<string, never>> }
      readonly additionalPrinterColumns: readonly PrinterColumn[]
      readonly schema: { readonly openAPIV3Schema: StructuralSchema }
    }[]
  }
}

const STATUS_COLUMNS: readonly PrinterColumn[] = [
  {
    name: 'Accepted',
    type: 'string',
    jsonPath: '.status.ancestors[*].conditions[?(@.type=="Accepted")].status',
    description: 'Whether control has taken the policy, for the first object that it acts on.',
  },
  {
    name: 'Applied',
    type: 'string',
    jsonPath: '.status.applied',
    description: 'How many of the sidecars that it concerns have it in force.',
  },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since when it is there.' },
]

const DEFINITIONS: readonly Definition[] = [
  {
    kind: 'TrafficPolicy',
    plural: 'trafficpolicies',
    shortNames: ['tp'],
    description:
      'TrafficPolicy says how requests to a Service, or through an HTTPRoute, are balanced, tried again, timed and broken off. It acts at the callers.',
    spec: trafficPolicySchema.shape.spec,
    columns: [
      {
        name: 'Targets',
        type: 'string',
        jsonPath: '.spec.targetRefs[*].name',
        description: 'What it is attached to.',
      },
      ...STATUS_COLUMNS,
    ],
  },
  {
    kind: 'MeshPolicy',
    plural: 'meshpolicies',
    shortNames: ['mp'],
    description:
      'MeshPolicy sets mutual TLS, tracing, access log and ports of the Compat engine: in the namespace of Weft itself (weft-system) for the mesh, elsewhere for its namespace, and with a selector for some pods. The most specific one wins, field by field.',
    spec: meshPolicySchema.shape.spec,
    columns: [
      {
        name: 'Targets',
        type: 'string',
        jsonPath: '.spec.selector.matchLabels',
        description: 'Labels of the pods that it is for; none: the whole namespace.',
      },
      ...STATUS_COLUMNS,
    ],
  },
]

export function customResourceDefinitions(): readonly CustomResourceDefinition[] {
  return DEFINITIONS.map(({ kind, plural, shortNames, description, spec, columns }) => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.weft.dev`, labels: { 'gateway.networking.k8s.io/policy': 'Direct' } },
    spec: {
      group: 'weft.dev',
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), shortNames, categories: ['weft'] },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: wholeSchema(description, structuralSchema(spec)) },
        },
      ],
    },
  }))
}

function wholeSchema(description: string, spec: StructuralSchema): StructuralSchema {
  return {
    type: 'object',
    description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: 'weft.dev/v1alpha1.' },
      kind: { type: 'string', description: 'The kind of the object.' },
      metadata: { type: 'object' },
      spec,
      status: structuralSchema(policyStatusSchema),
    },
  }
}
