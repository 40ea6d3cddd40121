// The two charts: what is in each, and the facts of Chart.yaml.
import { customResourceDefinitions } from '#shared/resources/crd/definitions.ts'
import { certificatesFile } from './objects/certificates.ts'
import { certsFile } from './objects/certs.ts'
import { controlFile } from './objects/control.ts'
import { demoFile, meshPolicyFile, podMonitorFile } from './objects/extras.ts'
import { injectorFile } from './objects/injector.ts'
import { installationFile } from './objects/installation.ts'
import { shopFile } from './objects/shop.ts'
import { createMaker, labels } from './parts.ts'
import type { Node, TemplateFile } from './template.ts'

const VERSION = '0.1.0'
/** Where Weft lives unless it is told otherwise: its own identities are of this namespace. */
export const WEFT_NAMESPACE = 'weft-system'

export function weftFiles(): readonly TemplateFile[] {
  const make = createMaker('weft', VERSION)
  return [
    installationFile(make),
    controlFile(make, VERSION),
    certsFile(make, VERSION),
    injectorFile(make, VERSION),
    certificatesFile(make),
    meshPolicyFile(make),
    podMonitorFile(make),
    demoFile(make),
    shopFile(make),
  ]
}

/** Templates, not Helm's crds/, so that an upgrade of the chart upgrades them. */
export function crdFiles(): readonly TemplateFile[] {
  return customResourceDefinitions().map(({ metadata, ...definition }) => {
    const metadataOfChart = {
      ...metadata,
      labels: { ...metadata.labels, ...labels('weft-crds', VERSION, 'crds') },
    }
    const object = { ...definition, metadata: metadataOfChart } as unknown as { readonly [name: string]: Node }
    const { apiVersion = '', kind = '', metadata: first = '', ...rest } = object
    return { path: `${metadata.name}.yaml`, documents: [{ object: { apiVersion, kind, metadata: first, ...rest } }] }
  })
}

const COMMON = {
  apiVersion: 'v2',
  type: 'application',
  version: VERSION,
  appVersion: VERSION,
  kubeVersion: '>=1.31.0-0',
  home: 'https://weft.dev',
  icon: 'https://weft.dev/weft.svg',
  sources: ['https://github.com/weft-mesh/weft'],
  maintainers: [{ name: 'The authors of Weft', url: 'https://github.com/weft-mesh' }],
}

const annotations = (more: Readonly<Record<string, string>>) => ({
  'artifacthub.io/category': 'networking',
  'artifacthub.io/license': 'Apache-2.0',
  'artifacthub.io/prerelease': 'true',
  'artifacthub.io/links': '- name: Documentation\n  url: https://weft.dev/docs\n',
  ...more,
})

export const CHARTS = {
  weft: {
    ...COMMON,
    name: 'weft',
    description: 'Weft, a service mesh in TypeScript: control plane, certificate authority and sidecar injector.',
    keywords: ['service-mesh', 'gateway-api', 'mtls', 'spiffe', 'tracing'],
    annotations: annotations({
      'artifacthub.io/images': ['control', 'sidecar']
        .map((name) => `- name: weft-${name}\n  image: ghcr.io/weft-mesh/weft-${name}:${VERSION}\n`)
        .join(''),
    }),
  },
  'weft-crds': {
    ...COMMON,
    name: 'weft-crds',
    description: 'The custom resources of Weft: TrafficPolicy and MeshPolicy. Install it before weft.',
    keywords: ['service-mesh', 'crds'],
    annotations: annotations({
      'artifacthub.io/crds': customResourceDefinitions()
        .map(({ metadata, spec }) => {
          const kind = String(spec.names['kind'])
          return `- kind: ${kind}\n  version: v1alpha1\n  name: ${metadata.name}\n  displayName: ${kind}\n  description: A policy of Weft.\n`
        })
        .join(''),
    }),
  },
} as const
