import { defineConfig } from 'vitest/config'

// unit: beside the code, loopback only. integration: namespaces and foreign programs, root only. e2e: needs ../shared or Go.
// cluster: a real kube-apiserver, some of it Helm too. kubernetes: a whole node. All of it is built by ../shared.
// What is polled for comes late on a busy machine; the default is a second.
const expectations = { poll: { timeout: 10_000 } }
const shared = { globals: false, pool: 'forks' as const, passWithNoTests: false, expect: expectations }

const CLUSTER = [
  'test/charts/**/*.test.ts',
  'test/kube/**/*.test.ts',
  'test/injector/{apiserver,latency}.test.ts',
  'test/certificates/{kubernetes-api-server,webhook}.test.ts',
]
const COMPAT = new URL('sidecar/compat', import.meta.url).pathname
const KUBERNETES = ['test/e2e/kubernetes*.test.ts', 'test/e2e/conformance.test.ts']

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: ['node_modules/**', 'dist/**', 'test/integration/**', 'test/e2e/**', ...CLUSTER],
          // Ends a wait in vain. What computes for a second takes twenty where twenty others compute.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        // Not a suite of its own: test/sidecar/compat-suite.test.ts runs it and holds what it cannot pass to a list.
        resolve: {
          alias: [{ find: /^\.\/(server|client)\.ts$/, replacement: `${COMPAT}/as-http1.fixture.ts` }],
        },
        test: {
          ...shared,
          name: 'compat',
          include: ['sidecar/http1/{server,client}*.test.ts', 'sidecar/http1/tls.test.ts'],
          testTimeout: 10_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'cluster',
          include: CLUSTER,
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'kubernetes',
          include: KUBERNETES,
          globalSetup: 'test/e2e/kubernetes/ground.ts',
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: KUBERNETES,
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
})
