// Between the versions of HTTP nothing is changed and nothing is smuggled: what one side sends as one request is one at the other.
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TRUST_DOMAIN } from '../support/discovery.ts'
import type { Pair } from '../support/pair.ts'
import { type RawFields, sendRaw } from '../support/raw-http2.ts'
import { closeAll, dial, dialAs, heard, pairFor } from './attack.ts'

interface Seen {
  readonly method: string
  readonly url: string
  readonly names: readonly string[]
  readonly fields: readonly string[]
  readonly body: string
}

/** What the application has read, by Node's parser: one entry for each request. */
const seen: Seen[] = []
const application = createServer(async (request: IncomingMessage, response) => {
  const body = Buffer.concat(await request.toArray()).toString('latin1')
  const { method = '', url = '', rawHeaders: fields } = request
  seen.push({ method, url, fields, body, names: fields.filter((_, at) => at % 2 === 0) })
  response.end('ok')
})
let pair: Pair

beforeAll(async () => {
  await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve))
  const { port } = application.address() as AddressInfo
  const ports = [{ port, protocol: 'http', httpVersion: '1.1', service: 'shop/catalog' } as const]
  pair = await pairFor({ application: port, workload: { ports } })
})
beforeEach(() => {
  seen.length = 0
})
afterAll(async () => {
  await closeAll()
  application.closeAllConnections()
  application.close()
})

const TOKEN = [..."!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"]
/** Fields of one hop, those that frame, and what the mesh itself reads or writes. */
const SPECIAL =
  /^(connection|keep-alive|proxy-connection|transfer.encoding|upgrade|te|trailer|host|content.length|expect|cookie|x.weft.*|x.forwarded.client.cert|http2-settings|traceparent|tracestate|b3)$/i
const name = fc
  .string({ unit: fc.constantFrom(...TOKEN), minLength: 1, maxLength: 16 })
  .filter((text) => !SPECIAL.test(text))
const value = fc
  .string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)), maxLength: 24 })
  .map((text) => text.replaceAll('\x7f', '').trim())
const fields = fc.array(fc.tuple(name, value), { maxLength: 10 })
const path = fc
  .string({ unit: fc.constantFrom(...'abz019-._~!$&()*+,;=:@/%?|{}"'), maxLength: 30 })
  .map((text) => `/${text}`)
const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH')
const body = fc.option(fc.string({ maxLength: 200 }), { nil: null })

test('a request of HTTP/1.1 is the same behind two sidecars and HTTP/2: line, fields with case and order, body', async () => {
  const request = fc.record({ method, path, fields, body, isChunked: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(request, async ({ method: verb, path: target, fields: sent, body: text, isChunked }) => {
      seen.length = 0
      const socket = dial(pair.port)
      const framing = framingOf(text, isChunked)
      const lines = sent.map(([key, said]) => `${key}: ${said}\r\n`).join('')
      socket.write(
        Buffer.from(
          `${verb} ${target} HTTP/1.1\r\nHost: catalog\r\n${lines}${framing.head}Connection: close\r\n\r\n${framing.body}`,
          'latin1',
        ),
      )
      const answer = await heard(socket)

      expect(answer).toMatch(/^HTTP\/1\.1 200 /)
      expect(seen).toHaveLength(1)
      expect(seen[0]).toMatchObject({ method: verb, url: target, body: text ?? '' })
      const kept = (list: readonly string[]) => list.filter((_, at) => !SPECIAL.test(list[at - (at % 2)] as string))
      expect(kept(seen[0]?.fields ?? [])).toEqual(sent.flat())
    }),
    { numRuns: 150 },
  )
})

function framingOf(text: string | null, isChunked: boolean): { head: string; body: string } {
  if (text === null) return { head: '', body: '' }
  const bytes = Buffer.from(text, 'utf8').toString('latin1')
  if (!isChunked) return { head: `Content-Length: ${bytes.length}\r\n`, body: bytes }
  const chunk = bytes === '' ? '' : `${bytes.length.toString(16)}\r\n${bytes}\r\n`
  return { head: 'Transfer-Encoding: chunked\r\n', body: `${chunk}0\r\n\r\n` }
}

const PLAIN: RawFields = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':authority', 'catalog'],
  [':path', '/'],
]
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: catalog\r\n\r\n'

/** One request of HTTP/2 by hand to the outbound side, for an application of HTTP/1.1. */
async function attempt(fieldsOf: RawFields, frames: readonly string[] = ['body']): Promise<string> {
  const socket = dial(pair.port)
  const outcome = await sendRaw(socket, { fields: fieldsOf, body: frames })
  socket.destroy()
  return outcome
}

describe('an HTTP/2 request for an application of HTTP/1.1', () => {
  test('is one request', async () => {
    expect(await attempt(PLAIN)).toBe('ok')
    expect(seen).toMatchObject([{ method: 'POST', url: '/', body: 'body' }])
  })

  test('whose Host says the same as :authority has one Host', async () => {
    expect(await attempt([...PLAIN, ['host', 'catalog']])).toBe('ok')
    expect(seen[0]?.names.filter((key) => key.toLowerCase() === 'host')).toHaveLength(1)
  })

  test('has one Cookie, whatever crumbs it came in, and the fields around it in their order', async () => {
    expect(await attempt([...PLAIN, ['cookie', 'a=1'], ['x', 'y'], ['cookie', 'b=2'], ['z', 'w']])).toBe('ok')
    expect(seen[0]?.fields.slice(2, 8)).toEqual(['cookie', 'a=1; b=2', 'x', 'y', 'z', 'w'])
  })
})

describe('another sidecar that lies', () => {
  test.each([
    ['names that frame', '1.1 Transfer-Encoding'],
    ['names with CR LF', '1.1 X: y\r\nTransfer-Encoding'],
    ['more names than fields', '1.1 X,Content-Length,Host'],
  ])('about its names, with %s, brings nothing in', async (_, original) => {
    const mallory = await pair.authority.issue(`spiffe://${TRUST_DOMAIN}/ns/shop/sa/mallory`)
    const stream = dialAs(mallory, pair.inboundPort, 'weft/h2')
    const outcome = await sendRaw(stream, {
      fields: [...PLAIN, ['x', 'chunked'], ['x-weft-original', original]],
      body: [SMUGGLED],
    })

    expect(seen).toHaveLength(outcome === 'ok' ? 1 : 0)
    const names = seen.flatMap(({ names: list }) => list.map((key) => key.toLowerCase()))
    expect(names.filter((key) => key === 'content-length' || key === 'x-weft-original')).toEqual([])
  })
})
