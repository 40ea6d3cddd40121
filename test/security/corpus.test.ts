// The kept corpora of both codecs, each file on every way to every kind of application: whatever a sidecar forwards, the application
// reads as what its caller had said, and as no other request. A new file is tried without a further word.
import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { closeAll } from './attack.ts'
import { expectNoFaults, type Kind, meaningOf, notAsSaid, sendHttp1, type Target, targetOf, WAYS } from './crossing.ts'

const HTTP1 = new URL('../fixtures/http1-corpus/', import.meta.url)
const namesIn = (corpus: URL, ending: string) => readdirSync(corpus).filter((name) => name.endsWith(ending))
const KINDS: readonly Kind[] = ['HTTP/1.1', 'HTTP/2', 'Compat']

describe.each(KINDS)('to an application of %s', (kind) => {
  let target: Target
  beforeAll(async () => {
    target = await targetOf(kind)
  })
  afterAll(async () => {
    await closeAll()
    await target.recording[Symbol.asyncDispose]()
  })

  test.each(WAYS['HTTP/1.1'])('what comes by HTTP/1.1 %s arrives as it was sent, or not at all', async (_way, dial) => {
    for (const name of namesIn(HTTP1, '.request')) {
      const bytes = readFileSync(new URL(name, HTTP1))
      const meaning = await meaningOf(bytes, kind)
      await sendHttp1(target, dial, bytes, meaning.isCut)

      expect(notAsSaid(target, meaning), name).toEqual([])
      await expectNoFaults(target, name)
    }
  })
})
