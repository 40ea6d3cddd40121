import { expect, test } from 'vitest'
import { type Container, type Handler, readPod } from './kubernetes-pod.ts'
import { parseTaken, rewriteProbes } from './probes.ts'

const context = { previous: {}, graceSeconds: 45 }
const ports = [
  { name: 'http', containerPort: 8080 },
  { name: '1234', containerPort: 4321 },
]

function move(probe: Handler, more: Partial<Container> = {}) {
  const { container, taken, warnings } = rewriteProbes({ name: 'app', ports, ...more, livenessProbe: probe }, context)
  return { probe: container.livenessProbe, taken: taken['app.liveness'], warnings }
}

const moved = { httpGet: { path: '/probe/app.liveness', port: 15021, scheme: 'HTTP' } }
const times = { timeoutSeconds: 1, periodSeconds: 10 }

test.each([
  ['HTTP', { httpGet: { path: '/a?b=c', port: 80 } }, { httpGet: { path: '/a?b=c', port: 80, scheme: 'HTTP' } }],
  ['HTTPS', { httpGet: { port: 443, scheme: 'HTTPS' } }, { httpGet: { path: '/', port: 443, scheme: 'HTTPS' } }],
  [
    'HTTP with headers',
    { httpGet: { port: 80, httpHeaders: [{ name: 'Host', value: 'shop.example' }] } },
    { httpGet: { path: '/', port: 80, scheme: 'HTTP', httpHeaders: [{ name: 'Host', value: 'shop.example' }] } },
  ],
  ['TCP', { tcpSocket: { port: 'http' } }, { tcpSocket: { port: 8080 } }],
  ['gRPC', { grpc: { port: 9000 } }, { grpc: { port: 9000, service: '' } }],
  [
    'gRPC of one service',
    { grpc: { port: 9000, service: 'shop.Cart' } },
    { grpc: { port: 9000, service: 'shop.Cart' } },
  ],
])('%s is asked by the sidecar, in the words of Kubernetes', (_name, probe, taken) => {
  expect(move(probe)).toEqual({ probe: moved, taken: { ...taken, ...times }, warnings: [] })
})

test.each([
  ['http', 8080],
  ['1234', 4321],
  ['8081', 8081],
  [9, 9],
])('port %j is %i, as the kubelet has it: a name before a number', (port, number) => {
  expect(move({ httpGet: { port } }).taken).toMatchObject({ httpGet: { port: number } })
})

test.each([
  ['ready', '/ready'],
  ['', '/'],
  ['/a b/é', '/a%20b/%C3%A9'],
  ['/a%20b#part', '/a%20b'],
])('the path %j is sent as %s', (path, sent) => {
  expect(move({ httpGet: { path, port: 80 } }).taken).toMatchObject({ httpGet: { path: sent } })
})

test('thresholds and times stay with the kubelet, and the sidecar has as long as the kubelet waits', () => {
  const own = { failureThreshold: 7, initialDelaySeconds: 3, timeoutSeconds: 4, periodSeconds: 20 }

  expect(move({ tcpSocket: { port: 1 }, ...own })).toEqual({
    probe: { ...own, ...moved },
    taken: { tcpSocket: { port: 1 }, timeoutSeconds: 4, periodSeconds: 20 },
    warnings: [],
  })
})

test.each([
  ['a command', { exec: { command: ['true'] } }],
  ['another host', { httpGet: { port: 80, host: '127.0.0.1' } }],
  ['another host by TCP', { tcpSocket: { port: 80, host: 'db.example' } }],
])('%s is left to the kubelet', (_name, probe) => {
  expect(move(probe)).toEqual({ probe, taken: undefined, warnings: [] })
})

test.each([
  ['an unknown port', { httpGet: { port: 'metrics' } }, 'no port of the container is named "metrics"'],
  [
    'an odd header',
    { httpGet: { port: 80, httpHeaders: [{ name: 'a b', value: '' }] } },
    'the header a b cannot be sent',
  ],
  ['an odd value', { httpGet: { port: 80, httpHeaders: [{ name: 'a', value: 'é' }] } }, 'the header a cannot be sent'],
])('%s is left as it is and told', (_name, probe, why) => {
  const warnings = [`container app, liveness: left as it is: ${why}`]

  expect(move(probe)).toEqual({ probe, taken: undefined, warnings })
})

test('HTTP hooks of a container are run by the sidecar, a preStop for as long as the pod may take', () => {
  const lifecycle = { postStart: { httpGet: { port: 80 } }, preStop: { httpGet: { path: '/bye', port: 'http' } } }
  const { container, taken } = rewriteProbes({ name: 'app', ports, lifecycle }, context)

  expect(container.lifecycle).toEqual({
    postStart: { httpGet: { path: '/probe/app.postStart', port: 15021, scheme: 'HTTP' } },
    preStop: { httpGet: { path: '/probe/app.preStop', port: 15021, scheme: 'HTTP' } },
  })
  expect(taken['app.preStop']).toEqual({ httpGet: { path: '/bye', port: 8080, scheme: 'HTTP' }, timeoutSeconds: 45 })
})

test('a second run keeps what the first has found', () => {
  const first = rewriteProbes({ name: 'app', readinessProbe: { tcpSocket: { port: 1 } } }, context)
  const second = rewriteProbes(first.container, { ...context, previous: parseTaken(JSON.stringify(first.taken)) })

  expect(second).toEqual(first)
})

test('what stands in for the probes of a first run and is none is nothing', () => {
  expect([undefined, '', '[]', 'null', '{'].map(parseTaken)).toEqual([{}, {}, {}, {}, {}])
})

test.each([
  [null, 'pod: want a map'],
  [{}, 'spec: want a map'],
  [{ spec: {} }, 'spec.containers: want a list'],
  [{ spec: { containers: [{}] } }, 'spec.containers[0].name: want text'],
  [{ spec: { containers: [], volumes: {} } }, 'spec.volumes: want a list'],
  [{ spec: { containers: [] }, metadata: { annotations: { a: 1 } } }, 'metadata.annotations["a"]: want text'],
  [{ spec: { containers: [{ name: 'a', ports: [1] }] } }, 'spec.containers[0].ports[0]: want a map'],
  [
    { spec: { containers: [{ name: 'a', readinessProbe: { httpGet: [] } }] } },
    'spec.containers[0].readinessProbe.httpGet: want a map',
  ],
])('%j is no pod, with the place said', (value, message) => {
  expect(() => readPod(value)).toThrow(new TypeError(message))
})
