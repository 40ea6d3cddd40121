import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { ManualClock, systemClock } from '#shared/clock.ts'
import { silentLog } from '#shared/log.ts'
import type { Pod } from '#shared/pod/kubernetes-pod.ts'
import { applyPatch } from '#shared/pod/patch.fixture.ts'
import type { Operation } from '#shared/pod/patch-json.ts'
import { settings, shopPod } from '#shared/pod/pod.fixture.ts'
import { createFileCertificate } from '#shared/webhook/certificate.ts'
import type { Namespaces, Refusal } from '../../injector/admit.ts'
import { createInjectorMetrics } from '../../injector/metrics.ts'
import { startWebhook, type WebhookOptions } from '../../injector/webhook.ts'
import { makeAuthority } from '../support/authority.ts'

const authority = await makeAuthority()

async function startInjector(more: Partial<WebhookOptions> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'weft-injector-'))
  const files = { certificateFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') }
  async function putCertificate(): Promise<Date> {
    const leaf = await authority.leaf('spiffe://weft.local/ns/weft-system/sa/weft-injector')
    writeFileSync(files.certificateFile, leaf.chain)
    writeFileSync(files.keyFile, leaf.key.export({ type: 'pkcs8', format: 'pem' }))
    return leaf.expiresAt
  }
  await putCertificate()
  const clock = new ManualClock()
  const source = createFileCertificate({ ...files, clock, log: silentLog })
  const metrics = createInjectorMetrics(() => source.certificate.current.expiresAt)
  const refusals: Refusal[] = []
  const webhook = await startWebhook({
    settings,
    ownNamespace: 'weft-system',
    namespaces: { labelsOf: () => undefined },
    reporter: { refused: (refusal) => void refusals.push(refusal) },
    log: silentLog,
    certificate: source.certificate,
    metrics,
    port: 0,
    maxConcurrent: 8,
    requestTimeoutMs: 5000,
    now: systemClock.now,
    ...more,
  })
  return {
    port: webhook.port,
    files,
    clock,
    metrics,
    refusals,
    putCertificate,
    async [Symbol.asyncDispose]() {
      source.close()
      await webhook[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true })
    },
  }
}

interface Sent {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
}

function send(port: number, body: string | Buffer, sent: Sent = {}): Promise<{ status: number; body: string }> {
  const { method = 'POST', path = '/mutate?timeout=5s', headers = {} } = sent
  return new Promise((resolve, reject) => {
    const request = httpsRequest({
      port,
      host: '127.0.0.1',
      method,
      path,
      headers: { 'content-type': 'application/json', ...headers },
      ca: authority.root,
      // The API server would look for the DNS name of the service; the chain is verified all the same.
      checkServerIdentity: () => undefined,
      agent: false,
    })
    request.on('error', reject)
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }))
    })
    request.end(body)
  })
}

const review = (object: unknown, more: object = {}) =>
  JSON.stringify({
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      requestKind: { group: '', version: 'v1', kind: 'Pod' },
      name: '',
      namespace: 'shop',
      operation: 'CREATE',
      userInfo: { username: 'system:serviceaccount:kube-system:replicaset-controller' },
      object,
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1' },
      ...more,
    },
  })

interface Answer {
  readonly apiVersion: string
  readonly kind: string
  readonly response: {
    readonly uid: string
    readonly allowed: boolean
    readonly patchType?: string
    readonly patch?: string
    readonly warnings?: readonly string[]
    readonly status?: { readonly code: number; readonly message: string }
  }
}

async function ask(port: number, body: string): Promise<Answer['response'] & { operations: Operation[] }> {
  const { status, body: text } = await send(port, body)
  expect(status, text).toBe(200)
  const answer = JSON.parse(text) as Answer
  expect(answer).toMatchObject({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' })
  const { patch } = answer.response
  const operations = patch === undefined ? [] : (JSON.parse(Buffer.from(patch, 'base64').toString()) as Operation[])
  return { ...answer.response, operations }
}

test('a pod of a labelled namespace gets its sidecar by a JSON Patch', async () => {
  await using injector = await startInjector()
  const pod = shopPod()

  const answer = await ask(injector.port, review(pod))

  expect(answer).toMatchObject({
    uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
    allowed: true,
    patchType: 'JSONPatch',
  })
  expect(answer.warnings).toBeUndefined()
  const injected = applyPatch(pod, answer.operations) as Pod
  expect(injected.spec.initContainers?.map(({ name }) => name)).toEqual(['weft-init', 'weft-proxy', 'migrate'])
  const again = await ask(injector.port, review(injected))
  expect(again).toMatchObject({ allowed: true, operations: [] })
  expect(injector.metrics.render()).toContain('weft_injector_reviews_total{outcome="injected"} 2')
})

test.each([
  ['an update', { operation: 'UPDATE' }],
  ['another resource', { resource: { group: 'apps', version: 'v1', resource: 'deployments' } }],
  ['ephemeral containers', { subResource: 'ephemeralcontainers' }],
  ['a pod of Weft itself', { namespace: 'weft-system' }],
  ['a pod of the cluster', { namespace: 'kube-system' }],
])('%s is let through as it is', async (_what, more) => {
  await using injector = await startInjector()

  expect(await ask(injector.port, review(shopPod(), more))).toEqual({
    uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
    allowed: true,
    operations: [],
  })
})

test('labels of namespaces decide where they are known, and the label of the pod wins', async () => {
  const namespaces: Namespaces = { labelsOf: () => Promise.resolve({}) }
  await using injector = await startInjector({ namespaces })
  const pod = (word: string) => shopPod({ metadata: { labels: { 'weft.dev/inject': word } } })

  expect((await ask(injector.port, review(shopPod()))).operations).toEqual([])
  expect((await ask(injector.port, review(pod('disabled')))).operations).toEqual([])
  expect((await ask(injector.port, review(pod('enabled')))).operations).not.toEqual([])
})

test('a pod that cannot have a sidecar is admitted without, and its owner, the user and the pod are told why', async () => {
  await using injector = await startInjector()
  const pod = shopPod({ spec: { hostNetwork: true } })

  const answer = await ask(injector.port, review(pod))

  expect(answer.allowed).toBe(true)
  expect(answer.warnings).toEqual([expect.stringContaining('weft: no sidecar: it uses the network of its node')])
  expect(answer.operations).toHaveLength(1)
  expect(JSON.stringify(answer.operations)).toContain('hostNetwork')
  expect(injector.refusals).toEqual([
    {
      namespace: 'shop',
      pod: 'catalog-6d5f9c7b8-...',
      owner: expect.objectContaining({ kind: 'ReplicaSet', name: 'catalog-6d5f9c7b8' }),
      reason: expect.stringContaining('hostNetwork'),
    },
  ])
})

test('a dry run gives the same patch and tells nobody else', async () => {
  await using injector = await startInjector()
  const refused = shopPod({ spec: { hostNetwork: true } })
  const both = async (pod: Pod) => [
    (await ask(injector.port, review(pod, { dryRun: true }))).operations,
    (await ask(injector.port, review(pod, { dryRun: false }))).operations,
  ]

  const [dry, real] = await both(shopPod())
  expect(dry).toEqual(real)
  await ask(injector.port, review(refused, { dryRun: true }))
  expect(injector.refusals).toEqual([])
})

test('mistakes in annotations come back as warnings of a length that the API server shows', async () => {
  await using injector = await startInjector()
  const many = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => [`config.weft.dev/${'x'.repeat(200)}${index}`, '']),
  )
  const pod = shopPod({ metadata: { annotations: { 'config.weft.dev/skip-inbound-port': '22', ...many } } })

  const { warnings = [], allowed } = await ask(injector.port, review(pod))

  expect(allowed).toBe(true)
  expect(warnings[0]).toBe(
    'weft: config.weft.dev/skip-inbound-port: unknown annotation; want "config.weft.dev/skip-inbound-ports"',
  )
  expect(warnings.at(-1)).toBe('weft: and 27 more')
  expect(Math.max(...warnings.map(({ length }) => length))).toBeLessThanOrEqual(250)
  expect(warnings.join('').length).toBeLessThan(4096)
})

test('what is no pod is denied with the reason and the way around', async () => {
  await using injector = await startInjector()

  const answer = await ask(injector.port, review({ spec: { containers: {} } }))

  expect(answer.allowed).toBe(false)
  expect(answer.status).toEqual({
    code: 500,
    message:
      'weft could not add its sidecar (spec.containers: want a list); to run without it, label the pod weft.dev/inject: disabled',
  })
})

const deep = (levels: number) => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`
test.each([
  ['no JSON', '{', {}, 400, 'want JSON'],
  ['another kind', '{"kind":"Pod"}', {}, 400, 'want an AdmissionReview of admission.k8s.io/v1'],
  ['no request', '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}', {}, 400, 'request: want a map'],
  ['no uid', review({}, { uid: 7 }), {}, 400, 'request.uid: want text'],
  ['deep JSON', deep(100), {}, 400, 'want JSON of at most 64 levels'],
  ['very deep JSON', deep(500_000), {}, 400, 'want JSON of at most 64 levels'],
  ['brackets within text', `{"a":"${'['.repeat(100)}\\"${'['.repeat(100)}"}`, {}, 400, 'want an AdmissionReview'],
  ['a large body', ' '.repeat(1024 * 1024 + 1), {}, 413, 'want at most 1048576 bytes'],
  ['another type', '{}', { headers: { 'content-type': 'text/plain' } }, 415, 'want content-type: application/json'],
  ['another method', '', { method: 'GET' }, 405, 'ask POST /mutate'],
  ['another path', '{}', { path: '/' }, 404, 'ask POST /mutate'],
] as const)(
  '%s is refused with what would be right, and the next review is answered',
  async (_what, body, sent, status, want) => {
    await using injector = await startInjector()

    const answer = await send(injector.port, body, sent)

    expect(answer).toEqual({ status, body: expect.stringContaining(want) })
    expect((await ask(injector.port, review(shopPod()))).allowed).toBe(true)
  },
)

test('a body that grows beyond the limit without saying so is refused before it has ended', async () => {
  await using injector = await startInjector()
  const socket = await openTls(injector.port)
  const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`
  socket.write(
    'POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
  )
  for (let count = 0; count < 20; count++) socket.write(chunk)

  expect(await firstLine(socket)).toBe('HTTP/1.1 413 Payload Too Large')
  socket.destroy()
})

test('a client that never ends its request loses its connection, others do not', async () => {
  await using injector = await startInjector({ requestTimeoutMs: 200 })
  const socket = await openTls(injector.port)
  socket.write('POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{')
  const closed = new Promise<void>((resolve) => socket.resume().on('close', () => resolve()))

  expect((await ask(injector.port, review(shopPod()))).allowed).toBe(true)
  await closed
})

test('more reviews at a time than the limit are told to come again', async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<undefined>()
  let waiting = 0
  const { promise: busy, resolve: isBusy } = Promise.withResolvers<void>()
  const labelsOf = () => {
    waiting++
    if (waiting === 2) isBusy()
    return released
  }
  await using injector = await startInjector({ maxConcurrent: 2, namespaces: { labelsOf } })
  const held = [ask(injector.port, review(shopPod())), ask(injector.port, review(shopPod()))]
  await busy

  expect(await send(injector.port, review(shopPod()))).toEqual({
    status: 503,
    body: 'too many reviews at a time; try again\n',
  })
  release(undefined)
  expect((await Promise.all(held)).map(({ allowed }) => allowed)).toEqual([true, true])
})

test('who is slow to send a review gives way when there is no room, and whoever sends at once is answered', async () => {
  let now = 0
  await using injector = await startInjector({ maxConcurrent: 2, now: () => now })
  const closed: Promise<void>[] = []
  for (const _ of [1, 2]) {
    const socket = await openTls(injector.port)
    closed.push(new Promise((resolve) => socket.resume().on('close', () => resolve())))
    socket.write('POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{')
  }
  await expect.poll(async () => (await send(injector.port, review(shopPod()))).status).toBe(503)

  now = 250
  const answers = await Promise.all([1, 2].map(() => ask(injector.port, review(shopPod()))))

  expect(answers.map(({ allowed }) => allowed)).toEqual([true, true])
  await Promise.any(closed)
})

test('a certificate that was replaced is shown to the next connection; a broken one never', async () => {
  await using injector = await startInjector()
  const serial = async () => {
    const socket = await openTls(injector.port)
    const { serialNumber } = socket.getPeerCertificate()
    socket.destroy()
    return serialNumber
  }
  const first = await serial()
  writeFileSync(injector.files.certificateFile, 'not PEM')
  injector.clock.advance(5000)
  expect(await serial()).toBe(first)

  await injector.putCertificate()
  injector.clock.advance(5000)
  expect(await serial()).not.toBe(first)
})

test('without a usable certificate there is no start, and the file at fault is named', async () => {
  const files = { certificateFile: '/nowhere/tls.crt', keyFile: '/nowhere/tls.key' }

  expect(() => createFileCertificate({ ...files, clock: new ManualClock(), log: silentLog })).toThrow(
    '/nowhere/tls.crt cannot be used',
  )
})

test('TLS 1.1 and plain HTTP get nowhere', async () => {
  await using injector = await startInjector()
  const old = connect({
    port: injector.port,
    host: '127.0.0.1',
    maxVersion: 'TLSv1.1',
    minVersion: 'TLSv1',
    rejectUnauthorized: false,
  })
  const failed = new Promise((resolve) => old.on('error', resolve))

  expect(await failed).toBeInstanceOf(Error)
  old.destroy()
  await expect(fetch(`http://127.0.0.1:${injector.port}/mutate`, { method: 'POST' })).rejects.toThrow()
})

function openTls(port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', ca: authority.root, checkServerIdentity: () => undefined })
    socket.on('error', reject)
    socket.on('secureConnect', () => resolve(socket))
  })
}

function firstLine(socket: TLSSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.on('close', () => reject(new Error('closed without an answer')))
    socket.once('data', (bytes: Buffer) => resolve(bytes.toString().split('\r\n', 1)[0] ?? ''))
  })
}
