import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { formatAddress } from '#shared/address.ts'
import { createAccessLog } from './access-log.ts'
import { connectionEnded, requestEnded } from './event.fixture.ts'
import { CATALOG_IDENTITY, createAttempt, createExchange } from './exchange.fixture.ts'
import { DURATION_BUCKETS, METRICS } from './metric-table.ts'
import { onRule, runOnce, SAMPLED, startTracing, withFields } from './trace.fixture.ts'

const page = readFileSync(new URL('../../docs/telemetry.md', import.meta.url), 'utf8')

/** The names in the first column of the table under a heading. */
function documented(heading: string): Set<string> {
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  return new Set(
    rows.flatMap((row) => [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')),
  )
}

test('docs/telemetry.md has the table of metrics that the code has', () => {
  const rows = Object.values(METRICS).map(
    (metric) =>
      `| \`${metric.name}\` | ${metric.type} | ${metric.labels.map((label) => `\`${label}\``).join(' ')} | ${metric.help} |`,
  )
  const table = ['| metric | type | labels | holds |', '| --- | --- | --- | --- |', ...rows].join('\n')
  const between = /<!-- metrics: [^\n]*-->\n([\s\S]*?)\n<!-- end of metrics -->/.exec(page)?.[1]

  expect(between).toBe(table)
  expect(page).toContain(`${DURATION_BUCKETS.join(', ')}.`)
})

test('docs/telemetry.md names every label that the code has', () => {
  const labels = new Set(Object.values(METRICS).flatMap((metric) => [...metric.labels]))

  expect([...documented('Metrics')]).toEqual(expect.arrayContaining([...labels]))
})

test('docs/telemetry.md names every field of the access log and no other', () => {
  const lines: string[] = []
  const log = createAccessLog(
    (text) => void lines.push(...text.trim().split('\n')),
    () => true,
    { self: () => CATALOG_IDENTITY },
  )
  const said = { traceId: 'x', userAgent: 'x', route: 'x', detail: 'x', reason: 'INTERNAL' } as const
  log(requestEnded({ method: 'BREW', grpcStatus: 14, ...said }))
  log(connectionEnded())
  log.flush()
  const fields = new Set(lines.flatMap((line) => Object.keys(JSON.parse(line))))

  expect(documented('Access log')).toEqual(fields)
})

test('docs/telemetry.md names every attribute of a span and no other', async () => {
  await using rig = await startTracing()
  const call = { isGrpc: true, grpcStatus: 14 }
  const outcome = { status: 503, reason: 'UPSTREAM_CLOSED', ...call, ...onRule('r') } as const
  for (const direction of ['inbound', 'outbound'] as const) {
    const exchange = withFields(['traceparent', SAMPLED], { direction, ...outcome })
    exchange.facts.method = 'BREW'
    exchange.facts.authority = formatAddress(exchange.destination)
    if (direction === 'outbound') exchange.attempts.push(createAttempt())
    runOnce(rig, direction, exchange)
  }
  const refused = createExchange({ direction: 'outbound', ...outcome })
  rig.tracing.outbound.onRequest?.(refused)
  rig.tracing.outbound.onEnd?.(refused)
  const attributes = new Set((await rig.spans()).flatMap((span) => Object.keys(span.attributes)))

  expect(documented('Traces')).toEqual(attributes)
})
