import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type RequestOptions, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLog } from '#shared/log.ts'
import { type Admin, type AdminOptions, createAdmin } from './admin.ts'

interface Rig extends AsyncDisposable {
  readonly admin: Admin
  readonly socketPath: string
  readonly levels: string[]
}

async function startAdmin(overrides: Partial<AdminOptions> = {}): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-admin-'))
  const socketPath = join(folder, 'admin.sock')
  const levels = ['info']
  const opening = createAdmin({
    ready: () => ({ isReady: true, reasons: [] }),
    metrics: () => 'a_total 1\n',
    dumps: { config: () => ({ a: 1 }), endpoints: () => [], certificates: () => [], connections: () => [] },
    logLevel: { get: () => levels.at(-1) ?? '', set: (level) => void levels.push(level) },
    drain: async () => ({ isIdle: true, remaining: 0 }),
    probes: { probes: new Map(), address: () => '127.0.0.1', isDraining: () => false },
    log: silentLog,
    listen: { adminPort: 0, adminSocket: socketPath, metricsPort: 0, healthPort: 0 },
    ...overrides,
  })
  const admin = await opening.catch((cause: unknown) => {
    rmSync(folder, { recursive: true })
    throw cause
  })
  return {
    admin,
    socketPath,
    levels,
    async [Symbol.asyncDispose]() {
      await admin.close()
      rmSync(folder, { recursive: true })
    },
  }
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly contentType: string | undefined
}

function ask(options: RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request({ agent: false, ...options }, async (response) => {
      let body = ''
      for await (const chunk of response) body += chunk
      resolve({ status: response.statusCode ?? 0, body, contentType: response.headers['content-type'] })
    })
    asking.on('error', reject)
    asking.end()
  })
}

test('readiness is 200, or 503 with the reasons, on the admin and the health port', async () => {
  let readiness: { isReady: boolean; reasons: string[] } = { isReady: true, reasons: [] }
  await using rig = await startAdmin({ ready: () => readiness })
  const { admin, health } = rig.admin.ports
  expect(await ask({ port: admin, path: '/ready' })).toMatchObject({ status: 200 })
  readiness = { isReady: false, reasons: ['no certificate yet'] }

  for (const port of [admin, health]) {
    const answer = await ask({ port, path: '/ready' })
    expect(answer.status).toBe(503)
    expect(JSON.parse(answer.body)).toEqual({ ready: false, reasons: ['no certificate yet'] })
  }
})

test('metrics are on their own port with the content type of the format', async () => {
  await using rig = await startAdmin()

  expect(await ask({ port: rig.admin.ports.metrics, path: '/metrics' })).toEqual({
    status: 200,
    body: 'a_total 1\n',
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
  })
  expect((await ask({ port: rig.admin.ports.metrics, path: '/config' })).status).toBe(404)
})

test('dumps are JSON, by the loopback addresses of both families and by the Unix socket', async () => {
  await using rig = await startAdmin()
  const port = rig.admin.ports.admin

  for (const where of [{ host: '127.0.0.1', port }, { host: '::1', port }, { socketPath: rig.socketPath }]) {
    const answer = await ask({ ...where, path: '/config' })
    expect(answer).toMatchObject({ status: 200, contentType: 'application/json' })
    expect(JSON.parse(answer.body)).toEqual({ a: 1 })
  }
})

test('a key or a token in a dump does not leave the process', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const circular: Record<string, unknown> = { name: 'loop' }
  circular['self'] = circular
  const dump = {
    key: createPrivateKey(pem),
    inText: `prefix ${pem}`,
    deep: new Map([['list', [{ bytes: privateKey.export({ type: 'pkcs8', format: 'der' }) }]]]),
    token: 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl',
    kept: { backend: 'shop/catalog:8080', at: new Date(0), count: 7n, circular },
  }
  await using rig = await startAdmin({
    dumps: { config: () => dump, endpoints: () => [], certificates: () => [], connections: () => [] },
  })
  const { body } = await ask({ port: rig.admin.ports.admin, path: '/config' })

  expect(body).not.toContain('PRIVATE KEY')
  expect(JSON.parse(body)).toEqual({
    key: '[secret, not shown]',
    inText: '[secret, not shown]',
    deep: { list: [{ bytes: expect.stringMatching(/^\[\d+ bytes]$/) }] },
    token: '[secret, not shown]',
    kept: {
      backend: 'shop/catalog:8080',
      at: '1970-01-01T00:00:00.000Z',
      count: '7',
      circular: { name: 'loop', self: '[circular]' },
    },
  })
})

test('the log level can be read and set, and a wrong one is refused with the right ones', async () => {
  await using rig = await startAdmin()
  const port = rig.admin.ports.admin

  expect(JSON.parse((await ask({ port, path: '/logging' })).body)).toEqual({ level: 'info' })
  expect(JSON.parse((await ask({ port, path: '/logging?level=debug', method: 'POST' })).body)).toEqual({
    level: 'debug',
  })
  const refused = await ask({ port, path: '/logging?level=loud', method: 'POST' })
  expect(refused).toMatchObject({ status: 400, body: expect.stringContaining('trace, debug, info') })
  expect(rig.levels).toEqual(['info', 'debug'])
})

test('POST /drain answers when stage one is over', async () => {
  const over = Promise.withResolvers<{ isIdle: boolean; remaining: number }>()
  await using rig = await startAdmin({ drain: () => over.promise })
  const answer = ask({ socketPath: rig.socketPath, path: '/drain', method: 'POST' })
  const first = await Promise.race([answer, ask({ port: rig.admin.ports.admin, path: '/ready' }).then(() => 'pending')])
  expect(first).toBe('pending')
  over.resolve({ isIdle: true, remaining: 0 })

  expect(JSON.parse((await answer).body)).toEqual({ drained: true, result: { isIdle: true, remaining: 0 } })
})

test.each([
  ['a name that an attacker points at loopback', { host: 'attacker.example' }],
  ['a name that only begins like loopback', { host: '127.0.0.1.attacker.example' }],
  ['a web page of another site', { host: 'localhost', origin: 'http://attacker.example' }],
  ['a form of another site', { host: 'localhost', 'sec-fetch-site': 'cross-site' }],
])('the admin pages refuse %s', async (_name, headers) => {
  await using rig = await startAdmin()
  const port = rig.admin.ports.admin

  for (const [method, path] of [
    ['GET', '/config'],
    ['POST', '/drain'],
    ['POST', '/logging?level=debug'],
  ] as const) {
    expect((await ask({ port, path, method, headers })).status).toBe(403)
  }
  expect(rig.levels).toEqual(['info'])
})

test.each(['localhost', 'localhost:15000', '127.0.0.1:15000', '[::1]:15000'])(
  'the admin pages answer to %s',
  async (host) => {
    await using rig = await startAdmin()

    expect((await ask({ port: rig.admin.ports.admin, path: '/config', headers: { host } })).status).toBe(200)
  },
)

test('a page for GET refuses POST and an unknown page names those that there are', async () => {
  await using rig = await startAdmin()
  const port = rig.admin.ports.admin

  expect((await ask({ port, path: '/config', method: 'POST' })).status).toBe(405)
  expect((await ask({ port, path: '/drain' })).status).toBe(405)
  expect((await ask({ port, path: '/config', method: 'HEAD' })).body).toBe('')
  const unknown = await ask({ port, path: '/__proto__' })
  expect(unknown).toMatchObject({ status: 404, body: expect.stringContaining('GET /certificates') })
})

test('a page that fails says so without its cause', async () => {
  await using rig = await startAdmin({
    metrics: () => {
      throw new Error('secret detail')
    },
  })
  const answer = await ask({ port: rig.admin.ports.metrics, path: '/metrics' })

  expect(answer.status).toBe(500)
  expect(answer.body).not.toContain('secret detail')
})

test('only the owner may use the Unix socket, and one that a killed process left is replaced', async () => {
  await using first = await startAdmin()
  expect(statSync(first.socketPath).mode & 0o777).toBe(0o600)
  await using second = await startAdmin({
    listen: { adminPort: 0, adminSocket: first.socketPath, metricsPort: 0, healthPort: 0 },
  })

  expect(second.admin.ports.admin).not.toBe(first.admin.ports.admin)
  expect((await ask({ socketPath: first.socketPath, path: '/ready' })).status).toBe(200)
})

test('a file that is no socket is not removed, and what was opened before it is closed again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-admin-'))
  const path = join(folder, 'precious')
  writeFileSync(path, 'precious')
  try {
    await expect(
      startAdmin({ listen: { adminPort: 0, adminSocket: path, metricsPort: 0, healthPort: 0 } }),
    ).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect(statSync(path).isFile()).toBe(true)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a port in use is an error that names it', async () => {
  await using rig = await startAdmin()
  const taken = rig.admin.ports.metrics

  await expect(
    startAdmin({ listen: { adminPort: 0, adminSocket: null, metricsPort: taken, healthPort: 0 } }),
  ).rejects.toMatchObject({ code: 'EADDRINUSE', port: taken })
})

test('a head larger than 8 KiB is refused', async () => {
  await using rig = await startAdmin()

  expect(
    (await ask({ port: rig.admin.ports.health, path: '/ready', headers: { 'x-large': 'a'.repeat(9000) } })).status,
  ).toBe(431)
})

test('closing ends connections that are still open', async () => {
  const rig = await startAdmin()
  const socket = await new Promise<Socket>((resolve, reject) => {
    const opening = connect(rig.admin.ports.health, '127.0.0.1', () => resolve(opening)).on('error', reject)
  })
  const gone = new Promise((resolve) => socket.on('close', resolve))
  socket.write('GET /re')
  await ask({ port: rig.admin.ports.health, path: '/ready' })
  await rig[Symbol.asyncDispose]()

  await gone
})

test('one neighbour that holds all the connections it gets keeps nobody else from the probes', async () => {
  await using rig = await startAdmin()
  const { health } = rig.admin.ports
  const held = Array.from({ length: 1200 }, () =>
    connect({ port: health, host: '127.0.0.1', localAddress: '127.0.0.2' }),
  )
  const cut = held.map((socket) => new Promise((resolve) => socket.on('error', () => {}).once('close', resolve)))
  // Those that are let in stay open; the others are cut.
  await Promise.race(cut)

  expect(await ask({ host: '127.0.0.1', port: health, path: '/ready' })).toMatchObject({ status: 200 })
  for (const socket of held) socket.destroy()
  await Promise.all(cut)
})
