// The example shop without a mesh: its services as processes on loopback, and its mesh.yaml as Weft reads it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { loadDocuments } from '#shared/resources/load.ts'
import { connectPayment } from '../../examples/shop/payment-client.ts'
import { readPrice } from '../../examples/shop/price-client.ts'
import { readReply } from '../../examples/shop/redis.ts'
import { passOn } from '../../examples/shop/server.ts'
import { parseFrame } from '../../examples/shop/web-socket.ts'
import { ROOT } from './plant.ts'

interface Service extends AsyncDisposable {
  readonly address: string
  readonly process: ChildProcess
}

async function start(program: string, file: string, env: Record<string, string> = {}): Promise<Service> {
  const child = spawn(program, [join(ROOT, 'examples/shop', file)], {
    env: { PATH: process.env['PATH'], ...env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /serves on port (\d+)/.exec(line)?.[1]
    if (port === undefined) continue
    child.stdout.resume()
    return {
      address: `localhost:${port}`,
      process: child,
      async [Symbol.asyncDispose]() {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill('SIGKILL')
        await once(child, 'exit')
      },
    }
  }
  throw new Error(`${file} ended before it served`)
}

test('the mesh.yaml of the shop has no mistake', () => {
  const path = 'examples/shop/mesh.yaml'
  const { problems, documents } = loadDocuments([{ path, text: readFileSync(join(ROOT, path), 'utf8') }])
  expect(problems).toEqual([])
  expect(documents.length).toBeGreaterThan(10)
})

test('the catalog says which release answered, in header and body', async () => {
  await using catalog = await start(process.execPath, 'catalog.ts', { VERSION: 'v2' })
  const response = await fetch(`http://${catalog.address}/products/2`)
  expect(response.headers.get('x-catalog-version')).toBe('v2')
  expect(await response.json()).toEqual({ version: 'v2', product: { id: '2', name: 'Shuttle' } })
  expect((await fetch(`http://${catalog.address}/products/9`)).status).toBe(404)
})

test('the price feed gives a price and echoes what was said', async () => {
  await using feed = await start(process.execPath, 'price-feed.ts')
  const { product, echo } = await readPrice(feed.address, {})
  expect(product).toBe('1')
  expect(echo).toMatch(/^hello at /)
})

test('payment takes money by a call, gives receipts by a stream, and says who it is', async () => {
  await using service = await start(process.execPath, 'payment.ts', { WEFT_REPLICA: '1' })
  const payment = connectPayment(service.address)
  const charge = (cents: number) => payment.charge({ customer: 'guest', product: '2', cents }, {})
  expect(await charge(700)).toEqual({ number: 1, product: '2', cents: 700, replica: '1' })
  await expect(charge(0)).rejects.toThrow('3 INVALID_ARGUMENT: nothing to pay')
  const receipts = await payment.receipts({ customer: 'guest', count: 3 }, {})
  expect(receipts.map(({ number, replica }) => [number, replica])).toEqual([
    [1, '1'],
    [2, '1'],
    [3, '1'],
  ])
  payment.close()
})

test('a replica of reviews fails when it is the failing one or in an outage, and is ready all the same', async () => {
  await using good = await start('python3', 'reviews.py', { WEFT_REPLICA: '0', FAILING_REPLICA: '1' })
  await using bad = await start('python3', 'reviews.py', { WEFT_REPLICA: '1', FAILING_REPLICA: '1' })
  const status = async (service: Service, path: string) => (await fetch(`http://${service.address}${path}`)).status
  expect(await status(good, '/reviews/1')).toBe(200)
  expect(await status(good, '/reviews/1?outage')).toBe(503)
  expect(await status(bad, '/reviews/1')).toBe(503)
  expect(await status(bad, '/ready')).toBe(200)
})

test.each([
  [process.execPath, 'web.ts'],
  [process.execPath, 'price-feed.ts'],
  [process.execPath, 'payment.ts'],
  ['python3', 'reviews.py'],
])('%s %s ends by itself on SIGTERM', async (program, file) => {
  await using service = await start(program, file)
  service.process.kill('SIGTERM')
  expect(await once(service.process, 'exit')).toEqual([0, null])
})

test('a service passes on the headers of a trace and of an experiment, and nothing else', () => {
  const headers = { traceparent: '00-a-b-01', 'x-canary': 'v2', cookie: 'a=1', authorization: 'Bearer x' }
  expect(passOn(headers)).toEqual({ traceparent: '00-a-b-01', 'x-canary': 'v2' })
})

test('a reply of Redis is read when it is all there, and never before', () => {
  const whole = Buffer.from('*3\r\n$4\r\na\r\nb\r\n:7\r\n$-1\r\n')
  for (let length = 0; length < whole.length; length++) expect(readReply(whole.subarray(0, length), 0)).toBeUndefined()
  expect(readReply(whole, 0)).toEqual({ value: ['a\r\nb', 7, null], next: whole.length })
})

test('a frame of a WebSocket is read when it is all there, and never before', () => {
  const whole = Buffer.from('818537fa213d7f9f4d5158', 'hex') // the masked "Hello" of RFC 6455 section 5.7
  for (let length = 0; length < whole.length; length++) expect(parseFrame(whole.subarray(0, length))).toBeUndefined()
  expect(parseFrame(whole)?.payload.toString()).toBe('Hello')
})
