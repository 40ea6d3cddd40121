// A malicious or broken application behind the sidecar: what it says ends its own answer and never reaches another request.
import { afterEach, describe, expect, test } from 'vitest'
import { applicationThat, ask, closeAll, dial, heard, pairFor, statusOf } from './attack.ts'

afterEach(closeAll)

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const EVIL = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'

describe('response queue poisoning', () => {
  test('a response with bytes behind it never reaches the next request', async () => {
    const connections = new Set<number>()
    const application = await applicationThat((socket, _bytes, connection) => {
      connections.add(connection)
      socket.write(OK + EVIL)
    })
    const pair = await pairFor({ application })

    const answers = [await ask(pair.port), await ask(pair.port), await ask(pair.port)]

    expect(answers.map((answer) => answer.endsWith('\r\n\r\nok'))).toEqual([true, true, true])
    expect(connections.size).toBe(3)
  })

  test('bytes that come while no request waits end the connection before it is used again', async () => {
    const connections = new Set<number>()
    let spoil = () => {}
    const application = await applicationThat((socket, _bytes, connection) => {
      connections.add(connection)
      spoil = () => socket.write(EVIL)
      socket.write(OK)
    })
    const pair = await pairFor({ application })

    const first = await ask(pair.port)
    spoil()
    await new Promise((resolve) => setImmediate(resolve))
    // The sidecar reads what is there before it takes a connection that came after it.
    const second = await ask(pair.port)

    expect([first.endsWith('ok'), second.endsWith('ok'), connections.size]).toEqual([true, true, 2])
  })

  test('an answer that came before its request does not shift the answers of those that follow', async () => {
    const application = await applicationThat(
      (socket, bytes) => {
        const path = bytes.split(' ')[1] as string
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`)
      },
      (socket) => socket.write(EVIL),
    )
    const pair = await pairFor({ application })

    for (const path of ['/one', '/two', '/three']) {
      const answer = await ask(pair.port, path)
      expect(['evil', path]).toContain(answer.slice(answer.indexOf('\r\n\r\n') + 4))
    }
  })
})

describe('response splitting and framing', () => {
  test.each([
    ['Content-Length with Transfer-Encoding', 'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'Content-Length: 2\r\nContent-Length: 30\r\n\r\nok'],
    ['a length in another base', 'Content-Length: 0x2\r\n\r\nok'],
    ['a coding that is not chunked', 'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
    ['a bare line feed in a field', 'X: a\nSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\nok'],
    ['a bare carriage return in a field', 'X: a\rSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\nok'],
    ['a folded field', 'X: a\r\n Set-Cookie: b=c\r\nContent-Length: 2\r\n\r\nok'],
    ['a NUL in a field', 'X: a\0b\r\nContent-Length: 2\r\n\r\nok'],
  ])('%s is a bad gateway, and nothing of it travels', async (_name, rest) => {
    const application = await applicationThat((socket) => socket.write(`HTTP/1.1 200 OK\r\n${rest}`))
    const pair = await pairFor({ application })

    const answer = await ask(pair.port)

    expect([statusOf(answer), answer.includes('Set-Cookie')]).toEqual([502, false])
    expect(answer).toContain('x-weft-reason: UPSTREAM_PROTOCOL')
  })

  test('a 101 that nobody asked for opens no tunnel', async () => {
    const application = await applicationThat((socket) =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw'),
    )
    const pair = await pairFor({ application })

    const answer = await ask(pair.port)

    expect([statusOf(answer), answer.includes('raw')]).toEqual([502, false])
  })

  test('an upgrade that is turned down leaves no connection on which servers could differ', async () => {
    const seen: string[] = []
    const application = await applicationThat((socket, bytes, connection) => {
      seen.push(`${connection} ${bytes.slice(0, bytes.indexOf(' HTTP'))}`)
      socket.write(OK)
    })
    const pair = await pairFor({ application })
    const socket = dial(pair.port)

    socket.write('GET /up HTTP/1.1\r\nHost: c\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    socket.write('GET /hidden HTTP/1.1\r\nHost: c\r\nConnection: close\r\n\r\n')
    await heard(socket)

    expect(seen).toEqual(['1 GET /up', '2 GET /hidden'])
  })

  test('a flood of interim answers ends as a bad gateway', async () => {
    const flood = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(1000)
    const application = await applicationThat((socket) => {
      const pour = () => {
        while (!socket.destroyed && socket.write(flood));
      }
      socket.on('drain', pour)
      pour()
    })
    const pair = await pairFor({ application })

    const answer = await ask(pair.port)

    const final = answer.slice(answer.lastIndexOf('HTTP/1.1 '))
    expect(statusOf(final)).toBe(502)
    expect(answer.length).toBeLessThan(2 << 20)
  })
})
