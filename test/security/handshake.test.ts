// What follows a handshake may end the connection at once, as when the caller has gone or the peer has reset: Node tells of the
// handshake from within OpenSSL's read, and a connection that is freed there takes the whole process with it (SIGSEGV).
import { afterEach, expect, test } from 'vitest'
import { CATALOG, closeAll, listening, NOTHING, never, sidecars } from '../support/mutual-tls.ts'

afterEach(closeAll)

test.each(['dialling', 'accepting'] as const)(
  'a connection that the %s side ends in the moment of its handshake ends no process',
  async (side) => {
    const { originate, terminate } = await sidecars()
    const wire = await listening()
    for (let left = 50; left > 0; left--) {
      const dialled = await wire.dial()
      const accepted = await wire.accepted()
      const ends = [
        terminate(accepted, NOTHING, never).then(({ stream }) => {
          if (side === 'accepting') end(accepted, stream)
        }),
        originate(dialled, CATALOG, 'weft/tcp', never).then(({ stream }) => {
          if (side === 'dialling') end(dialled, stream)
        }),
      ]
      await Promise.allSettled(ends)
      dialled.destroy()
      accepted.destroy()
    }

    expect(process.exitCode).toBeUndefined()
  },
)

/** The socket below first: then the TLS one frees its state in the same turn. */
function end(below: { destroy(): unknown }, secured: { destroy(): unknown }): void {
  below.destroy()
  secured.destroy()
}
