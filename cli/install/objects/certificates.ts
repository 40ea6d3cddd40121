// What cert-manager is asked for where the values say so, instead of what Weft makes and renews itself: certificates of the two
// webhooks, and the root of the mesh.
import { type Maker, type Process, type Rule, setting } from '../parts.ts'
import {
  all,
  any,
  type Condition,
  from,
  Hole,
  is,
  isTrue,
  type Node,
  not,
  type TemplateDocument,
  type TemplateFile,
  text,
  value,
  when,
} from '../template.ts'

type Served = Extract<Process, 'control' | 'injector'>

const byCertManager = is('certificates.webhook', 'cert-manager')
export const bySelf = not(byCertManager)
const hasIssuer = isTrue('certificates.webhookIssuerRef.name')
export const rootGiven = is('certificates.root', 'cert-manager')
const hasRootIssuer = isTrue('certificates.rootIssuerRef.name')

const ownSecret = (process: Served) => `weft-${process}-certificate`
const givenSecret = (process: Served) => `weft-${process}-tls`

/** Where the process keeps its certificate itself. */
export const secretRules = (process: Served): readonly Rule[] => [
  { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
  { apiGroups: [''], resources: ['secrets'], resourceNames: [ownSecret(process)], verbs: ['get', 'update'] },
]

/** Without it the files of the mount below are read. */
export const secretSetting = (process: Served): Node =>
  when(bySelf, setting('WEFT_CERTIFICATE_SECRET', ownSecret(process)))

export const certificateMount = (): Node =>
  when(byCertManager, { name: 'tls', mountPath: '/run/weft/tls', readOnly: true })
/** `optional`: the process starts without, and finds it when it is there. */
export const certificateVolume = (process: Served, more: { readonly optional?: true } = {}): Node =>
  when(byCertManager, { name: 'tls', secret: { secretName: givenSecret(process), ...more } })

/** cert-manager then keeps the caBundle of the webhooks. */
export const injectAuthority = (process: Served): Node =>
  when(byCertManager, {
    'cert-manager.io/inject-ca-from': new Hole([{ release: 'Namespace' }, `/weft-${process}`], true),
  })

/** Never read: so the pod waits until cert-manager has made the Secret. Its certificate alone, the key comes by the API server. */
export const rootMount = (): Node => when(rootGiven, { name: 'root', mountPath: '/run/weft/root', readOnly: true })
export const rootVolume = (): Node =>
  when(rootGiven, {
    name: 'root',
    secret: { secretName: value('certs.rootSecret'), items: [{ key: 'tls.crt', path: 'tls.crt' }] },
  })

export const under = (condition: Condition, documents: readonly TemplateDocument[]): readonly TemplateDocument[] =>
  documents.map((document) => ({ ...document, condition }))

const API = 'cert-manager.io/v1'
const TEN_YEARS = '87600h'
const ECDSA = { algorithm: 'ECDSA', size: 256 }

export function certificatesFile(make: Maker): TemplateFile {
  return {
    path: 'certificates.yaml',
    documents: [
      issuer(make, 'weft-self-signed', { selfSigned: {} }, any(ownIssuer, ownRootIssuer)),
      // Not the certificates themselves self-signed: of a new one the API server would hear before the pods show it.
      authority(make),
      issuer(make, 'weft-webhooks', { ca: { secretName: 'weft-webhooks' } }, ownIssuer),
      ...(['injector', 'control'] as const).flatMap((process) => serving(make, process)),
      ...root(make),
    ],
  }
}

const ownIssuer = all(byCertManager, not(hasIssuer))
const ownRootIssuer = all(rootGiven, not(hasRootIssuer))

function issuer(make: Maker, name: string, spec: Node, condition: Condition): TemplateDocument {
  return make({ apiVersion: API, kind: 'Issuer', name, component: 'certificates', condition, rest: { spec } })
}

function certificate(make: Maker, name: string, spec: Node, condition: Condition): TemplateDocument {
  return make({ apiVersion: API, kind: 'Certificate', name, component: 'certificates', condition, rest: { spec } })
}

const SELF_SIGNED = { kind: 'Issuer', name: 'weft-self-signed' }

function authority(make: Maker): TemplateDocument {
  const spec = {
    secretName: 'weft-webhooks',
    commonName: 'weft webhooks',
    isCA: true,
    duration: TEN_YEARS,
    // Who trusts the old one trusts the new one too.
    privateKey: { ...ECDSA, rotationPolicy: 'Never' },
    issuerRef: SELF_SIGNED,
  }
  return certificate(make, 'weft-webhooks', spec, ownIssuer)
}

function serving(make: Maker, process: Served): readonly TemplateDocument[] {
  const spec = (issuerRef: Node) => ({
    secretName: givenSecret(process),
    dnsNames: [new Hole([`weft-${process}.`, { release: 'Namespace' }, '.svc'], true)],
    usages: ['digital signature', 'server auth'],
    privateKey: { ...ECDSA, rotationPolicy: 'Always' },
    issuerRef,
  })
  const name = `weft-${process}`
  return [
    certificate(make, name, spec({ kind: 'Issuer', name: 'weft-webhooks' }), ownIssuer),
    certificate(make, name, spec(value('certificates.webhookIssuerRef')), all(byCertManager, hasIssuer)),
  ]
}

function root(make: Maker): readonly TemplateDocument[] {
  const spec = (issuerRef: Node) => ({
    secretName: value('certs.rootSecret'),
    commonName: 'weft root',
    uris: [text`spiffe://${from('mesh.trustDomain')}`],
    isCA: true,
    duration: TEN_YEARS,
    usages: ['cert sign', 'crl sign'],
    // A renewal with another key would cut off every workload that trusts the old one.
    privateKey: { ...ECDSA, encoding: 'PKCS8', rotationPolicy: 'Never' },
    issuerRef,
  })
  return [
    certificate(make, 'weft-root', spec(SELF_SIGNED), ownRootIssuer),
    certificate(make, 'weft-root', spec(value('certificates.rootIssuerRef')), all(rootGiven, hasRootIssuer)),
  ]
}
