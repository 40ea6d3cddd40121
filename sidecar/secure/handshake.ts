// Waits for a TLS handshake: done, broken, given up by the caller, or too slow.
import type { TLSSocket } from 'node:tls'
import type { Clock } from '#shared/clock.ts'

const HANDSHAKE_LIMIT_MS = 10_000

/** tls: the peer speaks no TLS or proves nothing; closed: the connection ended; late: no end in time; given-up: our side. */
export type HandshakeFailure = 'tls' | 'closed' | 'late' | 'given-up'

export class HandshakeError extends Error {
  override readonly name = 'HandshakeError'
  readonly failure: HandshakeFailure
  constructor(failure: HandshakeFailure, text: string, options?: ErrorOptions) {
    super(text, options)
    this.failure = failure
  }
}

export interface HandshakeWait {
  /** What a TLSSocket emits when it is done: secure on the accepting side, secureConnect on the dialling one. */
  readonly event: 'secure' | 'secureConnect'
  readonly signal: AbortSignal
  readonly clock: Clock
}

/** Rejects with a HandshakeError. A listener for errors stays, as one may come before the next owner listens. */
export function handshakeOf(stream: TLSSocket, { event, signal, clock }: HandshakeWait): Promise<void> {
  return new Promise((resolve, reject) => {
    let turn: NodeJS.Immediate | undefined
    const fail = (error: HandshakeError) => {
      stop()
      reject(error)
    }
    // The event comes from within OpenSSL's read. What follows may end the connection, which frees what is being read from: the
    // process would die. So it follows in a turn of its own.
    const onDone = () => {
      turn = setImmediate(() => {
        stop()
        resolve()
      })
    }
    const onError = (error: Error) => fail(new HandshakeError(failureOf(error), error.message, { cause: error }))
    const onClose = () => fail(new HandshakeError('closed', 'the connection closed in the handshake'))
    const onAbort = () => fail(new HandshakeError('given-up', 'the handshake was given up', { cause: signal.reason }))
    const cancelTimer = clock.after(HANDSHAKE_LIMIT_MS, () =>
      fail(new HandshakeError('late', `no handshake within ${HANDSHAKE_LIMIT_MS} ms`)),
    )
    const stop = () => {
      cancelTimer()
      clearImmediate(turn)
      stream.removeListener(event, onDone).removeListener('error', onError)
      stream.removeListener('end', onClose).removeListener('close', onClose)
      signal.removeEventListener('abort', onAbort)
    }
    stream.on('error', ignore)
    // With allowHalfOpen the end of the peer's half closes nothing by itself.
    stream.once(event, onDone).once('error', onError).once('end', onClose).once('close', onClose)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    else if (stream.destroyed) onClose()
  })
}

function ignore(): void {}

/** Errors of the system carry its call or the code of a reset; what is left comes from OpenSSL. */
function failureOf(error: NodeJS.ErrnoException): HandshakeFailure {
  return error.syscall !== undefined || error.code === 'ECONNRESET' || error.code === 'EPIPE' ? 'closed' : 'tls'
}
