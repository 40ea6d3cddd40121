// Which version of the Gateway API's CRDs the cluster has. They are whoever's put them there, and the API server drops in silence what a
// version does not know: a rule's name, a timeout. So control says what it was made for and what it found.
import type { Clock } from '#shared/clock.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { isNotFound } from '#shared/kube/error.ts'
import { CUSTOM_RESOURCES, type KubeObject } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'
import { type Watch, Watched } from '#shared/watch.ts'

export interface GatewayApi {
  /** "v1.6.3"; empty: the CRD does not say. */
  readonly version: string
  /** "standard", "experimental"; empty: likewise. */
  readonly channel: string
  /** As new as what Weft was made for, or newer. */
  readonly isRecent: boolean
}

export interface GatewayApiWatch {
  /** undefined: not known, or not installed. */
  readonly found: Watch<GatewayApi | undefined>
  close(): void
}

export interface GatewayApiOptions {
  readonly client: Pick<KubeClient, 'get'>
  readonly clock: Clock
  readonly log: Pick<Log, 'info' | 'warn'>
}

const MADE_FOR = { major: 1, minor: 6 }
const CRD = { name: 'httproutes.gateway.networking.k8s.io' }
const LOOK_MS = 10 * 60_000
/** While nothing is known: at the start an API server may not answer yet. */
const RETRY_MS = 30_000

export function watchGatewayApi({ client, clock, log }: GatewayApiOptions): GatewayApiWatch {
  const found = new Watched<GatewayApi | undefined>(undefined)
  let isClosed = false
  let cancel = () => {}
  let told = ''
  const tell = (isFine: boolean, text: string) => {
    if (text !== told) log[isFine ? 'info' : 'warn'](text)
    told = text
  }
  const look = async () => {
    const next = await client.get(CUSTOM_RESOURCES, CRD).then(readGatewayApi, (error: unknown) => {
      // That it is missing the informer of routes tells.
      if (!isNotFound(error)) tell(false, `the version of the Gateway API is not known: ${messageOf(error)}`)
      return undefined
    })
    if (isClosed) return
    if (next !== undefined) tell(next.isRecent, describeGatewayApi(next))
    found.set(next)
    cancel = clock.after(next === undefined ? RETRY_MS : LOOK_MS, () => void look())
  }
  void look()
  return {
    found,
    close() {
      isClosed = true
      cancel()
    },
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

function readGatewayApi({ metadata: { annotations = {} } }: KubeObject): GatewayApi {
  const version = annotations['gateway.networking.k8s.io/bundle-version'] ?? ''
  const channel = annotations['gateway.networking.k8s.io/channel'] ?? ''
  const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(version) ?? []
  const isRecent =
    Number(major) > MADE_FOR.major || (Number(major) === MADE_FOR.major && Number(minor) >= MADE_FOR.minor)
  return { version, channel, isRecent }
}

function describeGatewayApi({ version, channel, isRecent }: GatewayApi): string {
  const what = version === '' ? 'of a version that they do not say' : `${version} (${channel || 'no channel'})`
  const head = `the CRDs of the Gateway API are ${what}`
  if (isRecent) return head
  const wanted = `v${MADE_FOR.major}.${MADE_FOR.minor}`
  return `${head}; Weft is made for ${wanted}: fields of routes that they lack are dropped by the API server, in silence`
}
