// The client of websocket.test.ts: opens many sockets, then does what it is told by lines on its input.
// echo NUMBER: every socket says so and waits for its echo. close: all are closed in an orderly way. It answers each with a line of JSON.
import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'

const [url = '', count = '0'] = process.argv.slice(2)
const sockets: WebSocket[] = []
let closedEarly = 0
let isClosing = false
const codes = new Map<number, number>()

function open(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url)
    sockets.push(socket)
    socket.once('open', resolve)
    socket.on('error', reject)
    socket.on('close', (code) => {
      codes.set(code, (codes.get(code) ?? 0) + 1)
      if (!isClosing) closedEarly++
    })
  })
}

function echo(socket: WebSocket, text: string): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once('message', (data) => resolve(data.toString() === text))
    socket.send(text)
  })
}

function tell(what: object): void {
  process.stdout.write(`${JSON.stringify({ ...what, closedEarly })}\n`)
}

async function obey(line: string): Promise<void> {
  const [word, number] = line.split(' ')
  if (word === 'echo') {
    const echoed = await Promise.all(sockets.map((socket, i) => echo(socket, `${number} of ${i}`)))
    return tell({ echoed: echoed.filter(Boolean).length })
  }
  isClosing = true
  const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
  for (const socket of sockets) socket.close(1000)
  await Promise.all(closed)
  tell({ codes: Object.fromEntries(codes) })
}

// A few at a time, as no kernel takes a thousand in the same instant.
while (sockets.length < Number(count)) await Promise.all(Array.from({ length: 50 }, open))
tell({ open: sockets.length })
for await (const line of createInterface({ input: process.stdin })) await obey(line)
