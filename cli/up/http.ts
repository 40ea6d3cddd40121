// Small HTTP calls of the supervisor and the commands: a status and a body, with a deadline, over TCP or a Unix socket.
import { type RequestOptions, request } from 'node:http'
import { connect } from 'node:net'

export interface Answer {
  readonly status: number
  readonly body: string
}

/** Rejects when there is no whole answer within the deadline. */
export function call(options: RequestOptions & { timeoutMs: number; body?: string }): Promise<Answer> {
  const { timeoutMs, body: sent, ...rest } = options
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...rest, agent: false, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    outgoing.on('error', reject)
    outgoing.end(sent)
  })
}

/** True when the port accepts a connection within the deadline. */
export function accepts(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const done = (result: boolean) => {
      socket.destroy()
      resolve(result)
    }
    socket.setTimeout(timeoutMs, () => done(false))
    socket.once('connect', () => done(true))
    socket.once('error', () => done(false))
  })
}
