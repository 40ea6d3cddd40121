// Opens a plain TCP connection. Half-close is kept, since a client may end its side and still wait for the answer.
import { connect, type Socket } from 'node:net'
import { FlowError } from '#flow/error.ts'
import { type Address, formatAddress } from '#shared/address.ts'
import { type Clock, systemClock } from '#shared/clock.ts'

export interface DialConfig {
  readonly connectTimeoutMs: number
  readonly clock?: Clock
}

/** Rejects with a FlowError: CONNECT_TIMEOUT, or CONNECT_FAILED whose cause is the system's error or the abort's reason. */
export type Dialer = (address: Address, signal: AbortSignal, timeoutMs?: number) => Promise<Socket>

export function createDialer(config: DialConfig): Dialer {
  const { connectTimeoutMs, clock = systemClock } = config
  return (address, signal, timeoutMs = connectTimeoutMs) => dial(address, signal, { timeoutMs, clock })
}

function dial(address: Address, signal: AbortSignal, limit: { timeoutMs: number; clock: Clock }): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new FlowError('CONNECT_FAILED', { cause: signal.reason }))
    const socket = connect({ host: address.host, port: address.port, allowHalfOpen: true, noDelay: true })
    const settle = () => {
      cancelTimer()
      signal.removeEventListener('abort', onAbort)
      socket.off('connect', onConnect)
      socket.off('error', onError)
    }
    const fail = (error: FlowError) => {
      settle()
      // Destroyed sockets may still report; nobody is left to hear it.
      socket.on('error', () => {})
      socket.destroy()
      reject(error)
    }
    const onConnect = () => {
      settle()
      resolve(socket)
    }
    const onError = (cause: Error) => fail(new FlowError('CONNECT_FAILED', { cause }))
    const onAbort = () => fail(new FlowError('CONNECT_FAILED', { cause: signal.reason }))
    const onTimeout = () => {
      const cause = new Error(`no connection to ${formatAddress(address)} within ${limit.timeoutMs} ms`)
      fail(new FlowError('CONNECT_TIMEOUT', { cause }))
    }
    const cancelTimer = limit.clock.after(limit.timeoutMs, onTimeout)
    socket.on('connect', onConnect)
    socket.on('error', onError)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
