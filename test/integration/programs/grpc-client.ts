// The client of grpc.test.ts: does what its first argument says over one connection of grpc-js, and prints what came as JSON.
import { grpcClient } from '../../support/grpc-echo.ts'

const [task = '', address = '', count = '1'] = process.argv.slice(2)
const client = grpcClient(address)
const times = Number(count)

async function kinds(): Promise<unknown> {
  const { code, message, trailers } = await client.unary('hello')
  const failed = await client.unary('fail 5 no such thing')
  const late = await client.unary('never', { deadline: Date.now() + 500 })
  const chat = client.chat()
  const heard = new Promise<string[]>((resolve) => {
    const parts: string[] = []
    chat.on('data', (part: string) => parts.push(part))
    chat.on('end', () => resolve(parts))
  })
  for (const part of ['a', 'b', 'c']) chat.write(part)
  chat.end()
  return {
    unary: [code, message, trailers.get('x-trailer')],
    failed: [failed.code, failed.details],
    late: late.code,
    collected: await client.collect(['x', 'y', 'z']),
    expanded: (await client.expand(times)).length,
    chat: (await heard).map((part) => part.split(' ')[1]),
  }
}

/** Who answered how often, and every status. */
async function many(): Promise<unknown> {
  const names: Record<string, number> = {}
  const codes: Record<string, number> = {}
  for (let i = 0; i < times; i++) {
    const { code, metadata } = await client.unary(`${i}`)
    const name = `${metadata.get('x-name')[0] ?? 'nobody'}`
    names[name] = (names[name] ?? 0) + 1
    codes[code] = (codes[code] ?? 0) + 1
  }
  return { names, codes }
}

/** Calls until its input ends; then says how they ended. */
async function steady(): Promise<unknown> {
  let isOver = false
  process.stdin.on('end', () => {
    isOver = true
  })
  process.stdin.resume()
  process.stdout.write('started\n')
  const codes: Record<string, number> = {}
  const worker = async () => {
    while (!isOver) {
      const { code, details } = await client.unary('x')
      const key = code === 0 ? '0' : `${code} ${details}`
      codes[key] = (codes[key] ?? 0) + 1
    }
  }
  await Promise.all([worker(), worker(), worker(), worker()])
  return codes
}

const TASKS = { kinds, many, steady } as const
const result = await TASKS[task as keyof typeof TASKS]()
client[Symbol.dispose]()
process.stdout.write(`${JSON.stringify(result)}\n`)
