// How a process of Weft gets an identity: as a sidecar does, with a projected token, from certs.
import { TOKEN_AUDIENCE, TRUST_BUNDLE } from '#shared/identity/kubernetes.ts'
import { setting } from '../parts.ts'
import { from, type Node, text, value } from '../template.ts'

export const trustDomain = (): Node => setting('WEFT_TRUST_DOMAIN', value('mesh.trustDomain'))
export const certsAddress = () => text`weft-certs.${{ release: 'Namespace' }}.svc.${from('mesh.clusterDomain')}:15012`
export const controlAddress = () =>
  text`weft-control.${{ release: 'Namespace' }}.svc.${from('mesh.clusterDomain')}:15010`

export const discoverySettings = (): readonly Node[] => [
  trustDomain(),
  setting('WEFT_CERTS_ADDRESS', certsAddress()),
  setting('WEFT_BUNDLE_FILE', `/run/weft/bundle/${TRUST_BUNDLE.key}`),
  setting('WEFT_TOKEN_FILE', '/run/weft/token/token'),
]

export const tokenVolume = (): Node => ({
  name: 'token',
  projected: {
    sources: [{ serviceAccountToken: { audience: TOKEN_AUDIENCE, expirationSeconds: 3600, path: 'token' } }],
  },
})
/** The pod waits until certs has made it. */
export const bundleVolume = (): Node => ({ name: 'bundle', configMap: { name: TRUST_BUNDLE.configMap } })
export const identityMounts = (): readonly Node[] => [
  { name: 'token', mountPath: '/run/weft/token', readOnly: true },
  { name: 'bundle', mountPath: '/run/weft/bundle', readOnly: true },
]
