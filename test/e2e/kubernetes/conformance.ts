// Runs the mesh tests of the official Gateway API suite (../shared/gateway-api).
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run, SHARED, STATE } from './kubectl.ts'

export interface Conformance {
  /** By the name of the test: PASS, FAIL, SKIP or NOT RUN. */
  readonly results: Readonly<Record<string, string>>
  /** YAML, as the suite writes it. */
  readonly report: string
  /** Of the suite, to look into. */
  readonly log: string
}

/**
 * Fifteen right answers in a row: with the suite's own three, kube-proxy's random choice passes some tests. Each check has
 * `seconds` for it; tests that cannot pass take that long for each of their checks.
 */
export async function runConformance(seconds: number): Promise<Conformance> {
  const report = join(STATE, 'gateway-api/report.yaml')
  const argv = ['-l', 'weft.dev/inject=enabled', '-w', `${seconds}`, '-r', report]
  const { stdout, stderr } = await run(join(SHARED, 'gateway-api/run'), argv, '', {
    IMPLEMENTATION: 'weft',
    IMPLEMENTATION_URL: 'https://github.com/weft-mesh/weft',
    VERSION: 'v0.1.0',
  })
  const lines = stdout.matchAll(/^(PASS|FAIL|SKIP|NOT RUN)\b.*? (Mesh\w+) {2}/gm)
  const results = Object.fromEntries([...lines].map(([, result = '', name = '']) => [name, result]))
  if (Object.keys(results).length === 0) throw new Error(`the suite ran no test:\n${stdout}\n${stderr}`)
  return { results, report: await readFile(report, 'utf8'), log: join(STATE, 'gateway-api/run.log') }
}
