// The kept corpora of both codecs, each file on every way to every kind of application: whatever a sidecar forwards, the application
// reads as what its caller had said, and as no other request. A new file is tried without a further word.
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  arrived,
  crossOnce,
  expectNoFaults,
  expectOneOrNone,
  type KeptMessage,
  KINDS,
  meaningOf,
  notAsSaid,
  sendHttp1,
  sendHttp2,
  setTarget,
  type Target,
  WAYS,
} from './crossing.ts'

const HTTP1 = new URL('../fixtures/http1-corpus/', import.meta.url)
const CROSSING = new URL('../fixtures/crossing-corpus/', import.meta.url)
const HTTP2 = new URL('../fixtures/http2-corpus/', import.meta.url)
/** "1 requests, ..." by our codec, and by Node's. */
const VERDICTS: Record<string, Record<'ours' | 'node', string>> = JSON.parse(
  readFileSync(new URL('verdicts.json', HTTP2), 'utf8'),
)
const namesIn = (corpus: URL, ending: string) => readdirSync(corpus).filter((name) => name.endsWith(ending))
/** A hundred messages, each on connections of its own, on a machine that may be busy. */
const timeout = 120_000

describe.each(KINDS)('to an application of %s', (kind) => {
  let target: Target
  setTarget(kind, timeout, (made) => {
    target = made
  })

  test.each(WAYS['HTTP/1.1'])(
    'what comes by HTTP/1.1 %s arrives as it was sent, or not at all',
    { timeout },
    async (_way, dial) => {
      for (const name of namesIn(HTTP1, '.request')) {
        const bytes = readFileSync(new URL(name, HTTP1))
        const meaning = await meaningOf(bytes, kind)
        await sendHttp1(target, dial, bytes, meaning.isCut)

        expect(notAsSaid(target, meaning), name).toEqual([])
        await expectNoFaults(target, name)
      }
    },
  )

  test.each(WAYS['HTTP/2'])(
    'what comes by HTTP/2 %s arrives as it was sent, or not at all',
    { timeout },
    async (_way, dial) => {
      for (const name of namesIn(HTTP2, '.frames')) {
        const frames = readFileSync(new URL(name, HTTP2))
        await sendHttp2(target, dial, frames)

        const verdicts = Object.entries(VERDICTS[name] ?? {}).filter(
          ([reader]) => reader === 'ours' || kind === 'Compat',
        )
        const most = Math.max(...verdicts.map(([, verdict]) => Number.parseInt(verdict, 10)))
        expect(arrived(target).length, name).toBeLessThanOrEqual(most)
        await expectNoFaults(target, name)
      }
    },
  )

  test.each(WAYS['HTTP/2'])(
    'a message %s is judged as it was, and is one request or none',
    { timeout },
    async (_way, dial) => {
      for (const name of namesIn(CROSSING, '.json')) {
        const kept: KeptMessage = JSON.parse(readFileSync(new URL(name, CROSSING), 'utf8'))
        const outcome = await crossOnce(target, dial, kept)

        // Node takes more than our codec, such as a Host other than :authority; what it takes is one request all the same.
        if (kind !== 'Compat') expect(outcome, name).toBe(kept.reaches ? 'ok' : 'refused')
        if (!kept.reaches && kind !== 'Compat') expect(arrived(target), name).toEqual([])
        expectOneOrNone(target, kept, outcome)
        await expectNoFaults(target, name)
      }
    },
  )
})
