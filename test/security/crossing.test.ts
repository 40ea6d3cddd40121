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
const changed = (key: string, said: string): RawFields => PLAIN.map((field) => (field[0] === key ? [key, said] : field))
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

  test.each<[string, RawFields, (readonly string[])?]>([
    ['H2.CL, a length of nothing before a body', [...PLAIN, ['content-length', '0']], [SMUGGLED]],
    ['H2.CL, a length shorter than the body', [...PLAIN, ['content-length', '4']], ['body', SMUGGLED]],
    ['H2.CL, a length longer than the body', [...PLAIN, ['content-length', '400']], ['body']],
    ['H2.CL, two lengths', [...PLAIN, ['content-length', '4'], ['content-length', '4']]],
    ['H2.CL, a length with a sign', [...PLAIN, ['content-length', '+4']]],
    ['H2.CL, Content_Length', [...PLAIN, ['content_length', '0']], [SMUGGLED]],
    ['H2.TE', [...PLAIN, ['transfer-encoding', 'chunked']], [`0\r\n\r\n${SMUGGLED}`]],
    ['H2.TE, Transfer_Encoding', [...PLAIN, ['transfer_encoding', 'chunked']], [`0\r\n\r\n${SMUGGLED}`]],
    ['a field that ends in CR LF and a request', [...PLAIN, ['x', `a\r\n\r\n${SMUGGLED}`]]],
    ['a value with LF', [...PLAIN, ['x', 'a\ntransfer-encoding: chunked']]],
    ['a value with CR', [...PLAIN, ['x', 'a\rb']]],
    ['a value with NUL', [...PLAIN, ['x', 'a\0b']]],
    ['a name with CR LF', [...PLAIN, ['x: y\r\ntransfer-encoding', 'chunked']]],
    ['a name with a colon', [...PLAIN, ['content-length:', '0']]],
    ['a name with a blank', [...PLAIN, ['transfer-encoding ', 'chunked']]],
    ['a name in upper case', [...PLAIN, ['Transfer-Encoding', 'chunked']]],
    ['an empty name', [...PLAIN, ['', 'x']]],
    ['a :path with a blank', changed(':path', '/ HTTP/1.1\r\nHost: evil\r\n\r\nGET /smuggled')],
    ['a :path with a blank alone', changed(':path', '/a b')],
    ['a :path that is a whole URI', changed(':path', 'http://evil/')],
    ['a :path with a fragment', changed(':path', '/a#b')],
    ['an empty :path', changed(':path', '')],
    ['a :method with a blank', changed(':method', 'GET /smuggled HTTP/1.1\r\nx: ')],
    ['a :method in lower case', changed(':method', 'post')],
    ['CONNECT', changed(':method', 'CONNECT')],
    ['an :authority with CR LF', changed(':authority', 'catalog\r\nx: y')],
    ['an :authority with user information', changed(':authority', 'catalog@evil')],
    ['an :authority with a path', changed(':authority', 'catalog/x')],
    ['a Host other than :authority', [...PLAIN, ['host', 'evil']]],
    ['two :authority', [...PLAIN.slice(0, 3), [':authority', 'evil'], [':path', '/']]],
    ['two :path', [...PLAIN, [':path', '/smuggled']]],
    ['a pseudo-field behind a field', [...PLAIN.slice(0, 3), ['x', 'y'], [':path', '/']]],
    ['a :scheme that is a URI', changed(':scheme', 'http://evil/?')],
    ['a :scheme other than http and https', changed(':scheme', 'file')],
    ['no :path', PLAIN.slice(0, 3)],
    ['a :status', [...PLAIN, [':status', '200']]],
    [':protocol', [...PLAIN, [':protocol', 'websocket']]],
    ['Connection', [...PLAIN, ['connection', 'content-length']]],
    ['Upgrade', [...PLAIN, ['upgrade', 'h2c']]],
    ['TE other than trailers', [...PLAIN, ['te', 'chunked']]],
  ])('%s is refused and reaches nobody', async (_, fieldsOf, frames) => {
    expect(await attempt(fieldsOf, frames)).toBe('refused')
    expect(seen).toEqual([])
  })

  test('a Host that says the same as :authority is one Host', async () => {
    expect(await attempt([...PLAIN, ['host', 'catalog']])).toBe('ok')
    expect(seen[0]?.names.filter((key) => key.toLowerCase() === 'host')).toHaveLength(1)
  })

  test('whatever bytes its fields have, the application reads exactly one request or none', async () => {
    const anything = fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
      maxLength: 24,
    })
    const nearly = fc.oneof(anything, fc.constantFrom('\r\n', SMUGGLED, 'chunked', '0', 'catalog', '/', 'POST'))
    const names = fc.oneof(
      anything,
      fc.constantFrom(
        'content-length',
        'transfer-encoding',
        'host',
        'connection',
        'te',
        'cookie',
        'trailer',
        'expect',
        'x',
      ),
    )
    const input = fc.record({
      pseudo: fc.option(fc.tuple(fc.constantFrom(':method', ':path', ':authority', ':scheme'), nearly), { nil: null }),
      more: fc.array(fc.tuple(names, nearly), { maxLength: 3 }),
      text: fc.constantFrom('', 'body', SMUGGLED, `0\r\n\r\n${SMUGGLED}`),
    })
    await fc.assert(
      fc.asyncProperty(input, async ({ pseudo, more, text }) => {
        seen.length = 0
        const base = pseudo === null ? PLAIN : changed(...pseudo)
        const outcome = await attempt([...base, ...more], [text])

        expect(seen).toHaveLength(outcome === 'ok' ? 1 : 0)
        if (outcome === 'ok') expect(seen[0]?.body).toBe(text)
      }),
      { numRuns: 300 },
    )
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
