// The ways on which an attacker's bytes come to an application: through the sidecar of its own pod, to a Permissive port without one,
// and as a peer with a certificate that speaks to the inbound side with tools of its own.
import type { Duplex } from 'node:stream'
import { afterAll, beforeAll, expect } from 'vitest'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { requestsByNode } from '../../sidecar/http1/testing-readers.ts'
import { TRUST_DOMAIN } from '../support/discovery.ts'
import type { Pair } from '../support/pair.ts'
import { framesOf, type Outcome, type RawRequest, sendFrames, type Writing } from '../support/raw-http2.ts'
import { closeAll, dial, dialAs, heard, pairFor } from './attack.ts'
import { type Recording, recordHttp1, recordHttp2 } from './recording-application.ts'
import { readStrictly } from './strict-reader.ts'

export type Kind = 'HTTP/1.1' | 'HTTP/2' | 'Compat'
export const KINDS: readonly Kind[] = ['HTTP/1.1', 'HTTP/2', 'Compat']

/** An application behind its sidecar, and a caller's sidecar before both. */
export interface Target {
  readonly pair: Pair
  readonly recording: Recording
  readonly mallory: SvidIdentity
}

/** One for all tests of a describe, which `use` is told of before the first. */
export function setTarget(kind: Kind, timeoutMs: number, use: (target: Target) => void): void {
  let target: Target
  beforeAll(async () => {
    target = await targetOf(kind)
    use(target)
  }, timeoutMs)
  afterAll(async () => {
    await closeAll()
    await target.recording[Symbol.asyncDispose]()
  }, timeoutMs)
}

async function targetOf(kind: Kind): Promise<Target> {
  return targetBefore(await (kind === 'HTTP/2' ? recordHttp2() : recordHttp1()), kind)
}

export async function targetBefore(recording: Recording, kind: Kind): Promise<Target> {
  const engine = kind === 'Compat' ? ({ engine: 'compat' } as const) : {}
  const httpVersion = kind === 'HTTP/2' ? '2' : '1.1'
  const port = { port: recording.port, protocol: 'http', httpVersion, service: 'shop/catalog', ...engine } as const
  const pair = await pairFor({
    application: recording.port,
    config: { protocol: 'http', ...engine },
    workload: { mtls: 'Permissive', ports: [port] },
  })
  const mallory = await pair.authority.issue(`spiffe://${TRUST_DOMAIN}/ns/shop/sa/mallory`)
  return { pair, recording, mallory }
}

export type Dial = (target: Target) => Duplex

export const WAYS: Readonly<Record<'HTTP/1.1' | 'HTTP/2', readonly (readonly [name: string, dial: Dial])[]>> = {
  'HTTP/1.1': [
    ['through two sidecars', ({ pair }) => dial(pair.port)],
    ['to a Permissive port', ({ pair }) => dial(pair.inboundPort)],
    ['as a peer by weft/http1', ({ pair, mallory }) => dialAs(mallory, pair.inboundPort, 'weft/http1')],
    ['as a peer by weft/tcp', ({ pair, mallory }) => dialAs(mallory, pair.inboundPort, 'weft/tcp')],
  ],
  'HTTP/2': [
    ['through two sidecars', ({ pair }) => dial(pair.port)],
    ['to a Permissive port', ({ pair }) => dial(pair.inboundPort)],
    ['as a peer by weft/h2', ({ pair, mallory }) => dialAs(mallory, pair.inboundPort, 'weft/h2')],
    ['as a peer by weft/tcp', ({ pair, mallory }) => dialAs(mallory, pair.inboundPort, 'weft/tcp')],
  ],
}

/** Behind what an attacker sends: shows whose request the next one becomes. */
const LAST = '/last'
const lastRequest = Buffer.from(`GET ${LAST} HTTP/1.1\r\nHost: catalog\r\nConnection: close\r\n\r\n`)

/**
 * Sends the bytes and one more request behind them, and waits until the connection is over. `isCut`: they may end within a request, so
 * that ours becomes a part of it and nobody would ever answer.
 */
export async function sendHttp1(target: Target, dialHttp1: Dial, bytes: Buffer, isCut = false): Promise<void> {
  target.recording.forget()
  await ask(dialHttp1(target), Buffer.concat([bytes, lastRequest]), isCut)
  // What was under way when a connection was cut reaches the application before a request that comes later.
  if (isCut) await ask(dialHttp1(target), lastRequest, false)
}

/** Far above what an attacker's frames open, so that it is the newest of its connection. */
const LAST_ID = 0x7fff_fffd
const lastFrames = framesOf(
  {
    fields: [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':authority', 'catalog'],
      [':path', LAST],
    ],
  },
  LAST_ID,
)

/** The same with frames of HTTP/2, on a connection of their own. Returns what became of the streams that they end. */
export async function sendHttp2(
  target: Target,
  dialHttp2: Dial,
  frames: Buffer,
): Promise<ReadonlyMap<number, Outcome>> {
  target.recording.forget()
  const dialled = dialHttp2(target)
  const outcomes = await sendFrames(dialled, Buffer.concat([frames, lastFrames]), [...endedBy(frames), LAST_ID])
  dialled.destroy()
  await ask(dialHttp1Of(target), lastRequest, false)
  return outcomes
}

const dialHttp1Of = ({ pair }: Target) => dial(pair.port)

/** Streams that somebody must answer: opened by the rules, ended, and not taken back. */
function endedBy(frames: Buffer): Set<number> {
  const [opened, ended, taken] = [new Set<number>(), new Set<number>(), new Set<number>()]
  for (let at = 0; at + 9 <= frames.length; at += 9 + frames.readUIntBE(at, 3)) {
    const [type = 0, flags = 0] = frames.subarray(at + 3, at + 5)
    const id = frames.readUInt32BE(at + 5)
    if (type === 1 && id > Math.max(0, ...opened)) opened.add(id)
    if (type <= 1 && (flags & 1) !== 0) ended.add(id)
    if (type === 3) taken.add(id)
  }
  return opened.intersection(ended).difference(taken)
}

async function ask(dialled: Duplex, bytes: Buffer, ends: boolean): Promise<void> {
  const answers = heard(dialled)
  if (ends) dialled.end(bytes)
  else dialled.write(bytes)
  await answers
  dialled.destroy()
}

/** What the application has read of the attacker's, without our own request behind it. */
export const arrived = ({ recording }: Target): Said[] =>
  recording.requests
    .filter(({ target }) => target !== LAST)
    .map(({ method, target, body }) => ({ method, target, body }))

interface Said {
  readonly method: string
  readonly target: string
  readonly body: string
}

/** What bytes say by readers that are not ours: the narrowest one, and behind the Compat engine Node's too. */
export interface Meaning {
  readonly readings: readonly (readonly Said[])[]
  /** The request behind them may become a part of them, so that nobody answers it. */
  readonly isCut: boolean
}

export async function meaningOf(bytes: Buffer, kind: Kind): Promise<Meaning> {
  const all = Buffer.concat([bytes, lastRequest])
  const strict = readStrictly(all.toString('latin1'), { ofClient: true })
  const readings = [strict.requests.map(({ method, target, body }) => ({ method, target, body }))]
  const isCut = strict.rest !== '' && strict.fault === null
  if (kind !== 'Compat') return { readings, isCut }
  const { messages, verdict } = await requestsByNode(all, false)
  const byNode = messages
    .filter(({ isComplete }) => isComplete)
    .map(({ start, body }) => ({ method: start.split(' ')[0] ?? '', target: start.split(' ').at(-1) ?? '', body }))
  return { readings: [...readings, byNode], isCut: isCut || verdict === 'cut' }
}

/** Of what arrived, all that was not said, or not in this order. What was said may be missing: it was answered by the sidecar. */
export function notAsSaid(target: Target, { readings }: Meaning): readonly Said[] {
  const strays = readings.map((said) => {
    const left = said.map((one) => JSON.stringify(one))
    return arrived(target).filter((one) => {
      const at = left.indexOf(JSON.stringify(one))
      left.splice(0, at + 1)
      return at < 0
    })
  })
  return strays.find((list) => list.length === 0) ?? strays[0] ?? []
}

/** Connections that are cut are gone a moment later. */
export async function expectNoFaults({ recording }: Target, what: string): Promise<void> {
  await expect.poll(() => recording.faults(), { timeout: 10_000, message: what }).toEqual([])
}

/** A file of test/fixtures/crossing-corpus. */
export interface KeptMessage extends RawRequest {
  readonly reaches: boolean
}

/** One message of HTTP/2 by itself. */
export async function crossOnce(target: Target, way: Dial, message: RawRequest, writing?: Writing): Promise<Outcome> {
  const outcomes = await sendHttp2(target, way, framesOf(message, 1, writing))
  return outcomes.get(1) ?? 'refused'
}

/** What arrived of a message is the message; one that was refused in the middle may have arrived up to the length that it had named. */
export function expectOneOrNone(target: Target, message: RawRequest, outcome: Outcome): void {
  const { fields, body = [] } = message
  const read = arrived(target)
  const keep = `keep it as test/fixtures/crossing-corpus/NAME.json: ${JSON.stringify({ reaches: false, ...message })}`
  if (outcome === 'ok') expect(read.length, keep).toBe(1)
  expect(read.length, keep).toBeLessThanOrEqual(1)
  for (const request of read) {
    const said = (name: string) => fields.find(([key]) => key === name)?.[1]
    expect([request.method, request.target], keep).toEqual([said(':method'), said(':path')])
    expect(outcome === 'ok' ? request.body : body.join('').slice(0, request.body.length), keep).toBe(
      outcome === 'ok' ? body.join('') : request.body,
    )
  }
}
