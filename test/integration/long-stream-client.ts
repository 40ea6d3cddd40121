// The client of long-stream.test.ts: as many streams in both directions on one connection of grpc-js as its second argument says,
// a number on each every 100 ms, answered by the server. A line `end NAME` on its input ends those that server NAME has; the end of
// its input ends all. It prints its state as a line of JSON each second, and at last.
import { createInterface } from 'node:readline'
import type { ClientDuplexStream, StatusObject } from '@grpc/grpc-js'
import { grpcClient } from '../support/grpc-echo.ts'

export interface StreamState {
  /** Of the server, from its answers. */
  name: string
  sent: number
  received: number
  isInOrder: boolean
  longestGapMs: number
  isEnded: boolean
  /** Of the end: code and details. */
  status: string | null
}

const [address = '', count = '1'] = process.argv.slice(2)
const client = grpcClient(address)
const streams = Array.from({ length: Number(count) }, () => openStream(client.chat()))

function openStream(call: ClientDuplexStream<string, string>) {
  const state: StreamState = {
    name: '',
    sent: 0,
    received: 0,
    isInOrder: true,
    longestGapMs: 0,
    isEnded: false,
    status: null,
  }
  let heardAt = performance.now()
  call.on('data', (text: string) => {
    const [name = '', number] = text.split(' ')
    if (state.name !== '' && state.name !== name) state.isInOrder = false
    state.name = name
    state.isInOrder &&= Number(number) === state.received
    state.received++
    state.longestGapMs = Math.max(state.longestGapMs, Math.round(performance.now() - heardAt))
    heardAt = performance.now()
  })
  // It comes with a status, too.
  call.on('error', () => {})
  const over = new Promise<void>((resolve) => {
    call.on('status', ({ code, details }: StatusObject) => {
      state.status = `${code} ${details}`
      resolve()
    })
  })
  const ticking = setInterval(() => state.status === null && call.write(`${state.sent++}`), 100)
  const end = () => {
    if (state.isEnded) return
    state.isEnded = true
    clearInterval(ticking)
    call.end()
  }
  return { state, over, end }
}

const say = () => process.stdout.write(`${JSON.stringify(streams.map(({ state }) => state))}\n`)
const saying = setInterval(say, 1000)
createInterface({ input: process.stdin })
  .on('line', (line) => {
    for (const { state, end } of streams) if (line === `end ${state.name}`) end()
  })
  .on('close', async () => {
    for (const { end } of streams) end()
    await Promise.all(streams.map(({ over }) => over))
    clearInterval(saying)
    say()
    client[Symbol.dispose]()
  })
