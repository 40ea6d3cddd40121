// Upgrades and CONNECT (CVE-2025-64763): until the application has changed the protocol nothing that comes behind a request reaches it
// but as one more request, and what is refused opens no tunnel.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { TRUST_DOMAIN } from '../support/discovery.ts'
import type { Pair } from '../support/pair.ts'
import { applicationThat, ask, closeAll, dial, dialAs, heard, pairFor } from './attack.ts'

afterEach(closeAll)

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
const UPGRADE = 'GET /ws HTTP/1.1\r\nHost: catalog\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const EARLY = 'GET /smuggled HTTP/1.1\r\nHost: catalog\r\n\r\n'

type Way = (pair: Pair, peer: SvidIdentity) => Duplex
const WAYS: readonly (readonly [string, Way])[] = [
  ['through two sidecars', ({ port }) => dial(port)],
  ['to a Permissive port', ({ inboundPort }) => dial(inboundPort)],
  ['as a peer by weft/http1', ({ inboundPort }, peer) => dialAs(peer, inboundPort, 'weft/http1')],
  ['as a peer by weft/tcp', ({ inboundPort }, peer) => dialAs(peer, inboundPort, 'weft/tcp')],
]

/** An application that keeps what comes on each connection; it answers requests at once, but for /ws, which is left to the test. */
async function start() {
  const texts: string[] = []
  const upgrades = Promise.withResolvers<Socket>()
  const application = await applicationThat((socket, bytes, connection) => {
    texts[connection - 1] = (texts[connection - 1] ?? '') + bytes
    if (bytes.startsWith('GET /ws ')) upgrades.resolve(socket)
    else if (bytes.includes(' HTTP/1.1\r\n')) socket.write(OK)
  })
  const ports = [{ port: application, protocol: 'http', httpVersion: '1.1', service: 'shop/catalog' } as const]
  const pair = await pairFor({ application, config: { protocol: 'http' }, workload: { mtls: 'Permissive', ports } })
  const peer = await pair.authority.issue(`spiffe://${TRUST_DOMAIN}/ns/shop/sa/mallory`)
  const ofUpgrade = () => texts.filter((text) => text.startsWith('GET /ws '))
  return { pair, peer, texts, ofUpgrade, upgraded: upgrades.promise }
}

describe.each(WAYS)('%s', (_way, dialBy) => {
  test('what comes behind an upgrade waits for the 101, and is then the tunnel’s', async () => {
    const { pair, peer, ofUpgrade, upgraded } = await start()
    const client = dialBy(pair, peer)
    client.write(UPGRADE + EARLY)
    const application = await upgraded
    // Whatever was to follow at once has come when another request has been there and back.
    await ask(pair.port)
    expect(ofUpgrade()).toHaveLength(1)
    expect(ofUpgrade()[0]).toMatch(/\r\n\r\n$/)
    expect(ofUpgrade()[0]).not.toContain('smuggled')
    application.write(`${SWITCH}first`)

    expect(await heard(client, (text) => text.endsWith('first'))).toContain('HTTP/1.1 101 ')
    await expect
      .poll(() => ofUpgrade()[0], { timeout: 10_000 })
      .toMatch(/\r\n\r\nGET \/smuggled HTTP\/1\.1\r\nHost: catalog\r\n\r\n$/)
  })

  test('behind an upgrade that is turned down comes the next request, on another connection', async () => {
    const { pair, peer, texts, ofUpgrade, upgraded } = await start()
    const client = dialBy(pair, peer)
    client.write(`${UPGRADE}GET /next HTTP/1.1\r\nHost: catalog\r\nConnection: close\r\n\r\n`)
    const application = await upgraded
    application.write('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno')

    expect((await heard(client)).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 426', 'HTTP/1.1 200'])
    expect(ofUpgrade()[0]).not.toContain('/next')
    expect(texts.filter((text) => text.startsWith('GET /next '))).toHaveLength(1)
  })

  test('behind an upgrade that is turned down bytes that are no request reach nobody', async () => {
    const { pair, peer, texts, ofUpgrade, upgraded } = await start()
    const client = dialBy(pair, peer)
    client.write(`${UPGRADE}\x81\x05raw!!\r\n\r\n`)
    const application = await upgraded
    application.write('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno')

    expect((await heard(client)).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 426', 'HTTP/1.1 400'])
    expect(ofUpgrade()).toHaveLength(1)
    expect(texts.join('')).not.toContain('raw!!')
  })

  test('a 101 that was not asked for ends its exchange and opens no tunnel', async () => {
    const { pair, peer, texts, upgraded } = await start()
    const client = dialBy(pair, peer)
    client.write(`GET /ws HTTP/1.1\r\nHost: catalog\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n${EARLY}`)
    const application = await upgraded
    const closed = once(application, 'close')
    application.write(SWITCH)

    expect(await heard(client)).toMatch(/^HTTP\/1\.1 502 /)
    await closed
    expect(texts.join('')).not.toContain('smuggled')
  })

  test.each([
    ['by the rules', 'CONNECT catalog:80 HTTP/1.1\r\nHost: catalog:80\r\n\r\n'],
    ['with a length', `CONNECT catalog:80 HTTP/1.1\r\nHost: catalog:80\r\nContent-Length: ${EARLY.length}\r\n\r\n`],
    ['with a path', 'CONNECT / HTTP/1.1\r\nHost: catalog\r\n\r\n'],
  ])('CONNECT %s is refused, with all that follows', async (_name, request) => {
    const { pair, peer, texts } = await start()
    const client = dialBy(pair, peer)
    client.write(request + EARLY)

    expect(await heard(client)).toMatch(/^HTTP\/1\.1 405 .*CONNECT_REFUSED/s)
    client.destroy()
    await ask(pair.port)
    expect(texts.join('')).not.toContain('smuggled')
  })
})
