// Pods of test/fixtures/apps/chain.ts: services that each ask the next, handing on the trace's headers.
import { type PodOptions, pod } from './documents.ts'

/** `next` is a URL; empty for the last one. */
export const chainPod = (name: string, next: string, more: Partial<PodOptions> = {}): string =>
  pod({
    name,
    command: ['node', 'test/fixtures/apps/chain.ts'],
    ports: [8080],
    env: { NEXT: next },
    readiness: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
    ...more,
  })
