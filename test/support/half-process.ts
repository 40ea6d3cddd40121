// One of the two sidecars of pair-processes.ts, as a process of its own, so that its memory is its own. It is told what it is by
// its first message, answers with its port, and ends with its parent.
import { createPrivateKey } from 'node:crypto'
import { systemClock } from '#shared/clock.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import { destinationConfig, workloadConfig } from './discovery.ts'
import { SERVICE, startHalf } from './pair.ts'
import type { HalfDescription } from './pair-processes.ts'

process.once('disconnect', () => process.exit(0))
process.once('message', async (told: HalfDescription) => {
  const { identity } = told
  const original = told.direction === 'inbound' ? { host: '127.0.0.1', port: told.application } : SERVICE
  const half = await startHalf({
    identity: {
      ...identity,
      id: parseSpiffeId(identity.id),
      key: createPrivateKey(identity.key),
      expiresAt: new Date(identity.expiresAt),
    },
    original: () => original,
    workload: workloadConfig({ ports: [], ...told.workload }),
    direction: told.direction,
    destination: destinationConfig({ protocol: 'detect' }),
    endpoints: told.endpoints.map((each) => ({ ...each, identity: parseSpiffeId(each.identity) })),
    clock: systemClock,
    podAddresses: [],
    peerConnections: told.peerConnections ?? 4,
  })
  // What the pair would keep for its tests is no part of a sidecar.
  setInterval(() => {
    half.events.length = 0
  }, 100).unref()
  process.send?.(half.port)
})
