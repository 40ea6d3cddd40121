// What tests ask of a pod: to send a request or some bytes, as an application in it would.
import type { TestMesh } from './mesh.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const CALL = `
const [url, init, count, pauseMs] = JSON.parse(process.argv[1])
const answers = []
for (let i = 0; i < count; i++) {
  try {
    const response = await fetch(url, init)
    answers.push({ status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() })
  } catch (error) {
    answers.push({ status: 0, headers: {}, body: String(error.cause?.code ?? error) })
  }
  if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
}
process.stdout.write(JSON.stringify(answers))
`

export interface CallOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly pauseMs?: number
}

/** `count` requests one after another, from one process; status 0 with the system's code where there was no answer. */
export async function callTimes(
  mesh: TestMesh,
  pod: string,
  url: string,
  options: CallOptions & { readonly count: number },
): Promise<readonly Answer[]> {
  const { count, pauseMs = 0, ...init } = options
  const argument = JSON.stringify([url, init, count, pauseMs])
  const output = await mesh.exec(pod, ['node', '--input-type=module', '-e', CALL, argument], { timeoutMs: 170_000 })
  if (output.code !== 0) throw new Error(`the caller in ${pod} ended with ${output.code}: ${output.stderr}`)
  return JSON.parse(output.stdout) as Answer[]
}

export async function call(mesh: TestMesh, pod: string, url: string, options: CallOptions = {}): Promise<Answer> {
  const [answer] = await callTimes(mesh, pod, url, { ...options, count: 1 })
  if (answer === undefined) throw new Error('no answer')
  return answer
}

const SEND = `
import { connect } from 'node:net'
const [host, port, text, limitMs] = JSON.parse(process.argv[1])
const startedAt = performance.now()
let firstByteMs = null
let received = ''
const socket = connect({ host, port, allowHalfOpen: true })
const finish = (error) => {
  process.stdout.write(JSON.stringify({ received, firstByteMs, error: error?.code ?? null }))
  process.exit(0)
}
setTimeout(finish, limitMs, { code: 'LIMIT' })
socket.on('connect', () => text === '' ? undefined : socket.end(text))
socket.on('data', (chunk) => {
  firstByteMs ??= performance.now() - startedAt
  received += chunk
  if (text === '') socket.end()
})
socket.on('end', () => { socket.end(); finish() })
socket.on('error', finish)
`

export interface Exchanged {
  readonly received: string
  /** From the start of connecting; null: nothing came. */
  readonly firstByteMs: number | null
  /** The system's code (ECONNRESET), LIMIT when time was over, or null for an orderly end. */
  readonly error: string | null
}

/** Connects, sends text and ends its half, and reads to the end. With empty text it waits for the server to speak. */
export async function sendBytes(
  mesh: TestMesh,
  pod: string,
  to: { host: string; port: number; text: string; limitMs?: number },
): Promise<Exchanged> {
  const argument = JSON.stringify([to.host, to.port, to.text, to.limitMs ?? 10_000])
  const output = await mesh.exec(pod, ['node', '--input-type=module', '-e', SEND, argument])
  if (output.code !== 0) throw new Error(`the sender in ${pod} ended with ${output.code}: ${output.stderr}`)
  return JSON.parse(output.stdout) as Exchanged
}
