// What a comparison found: a table for a person, JSON for a program, and the table of docs/performance.md.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import type { Result, Spread } from './compare.ts'

const ROOT = join(import.meta.dirname, '../..')
const PAGE = join(ROOT, 'docs/performance.md')
const BEGIN = '<!-- bench: begin -->'
const END = '<!-- bench: end -->'

export function tableOf(results: readonly Result[]): string {
  const rows = results.flatMap(({ scene, rivals, ratio }) =>
    rivals.map(({ name, cpuUs, perSecond, p99Ms, memoryMb }, i) => {
      const ours = i === 0 && ratio !== null ? `**${text(ratio, 2)}**` : ''
      const cells = [
        scene,
        name,
        text(cpuUs, 1),
        ours,
        perSecond.median.toFixed(0),
        p99Ms.median.toFixed(2),
        memoryMb.join(' + '),
      ]
      return `| ${cells.join(' | ')} |`
    }),
  )
  const head = ['scene', 'who', 'CPU us a request', 'ratio', 'requests/s', 'p99 ms', 'own memory, MB']
  return [`| ${head.join(' | ')} |`, `| ${head.map(() => '---').join(' | ')} |`, ...rows].join('\n')
}

const text = ({ median, least, most }: Spread, digits: number): string =>
  `${median.toFixed(digits)} (${least.toFixed(digits)} to ${most.toFixed(digits)})`

export function writeJson(results: readonly Result[]): string {
  const file = join(ROOT, '.cache/bench/latest.json')
  mkdirSync(join(file, '..'), { recursive: true })
  const [cpu] = cpus()
  const machine = { cpu: cpu?.model ?? 'unknown', cores: cpus().length, node: process.version }
  writeFileSync(file, `${JSON.stringify({ at: new Date().toISOString(), machine, results }, null, 2)}\n`)
  return file
}

export function profileOf(shares: ReadonlyMap<string, number>): string {
  const rows = [...shares]
    .filter(([, share]) => share >= 0.01)
    .map(([where, share]) => `| ${where} | ${Math.round(share * 100)} % |`)
  return ['| where the CPU of a pair goes, HTTP/1.1, 32 connections | share |', '| --- | --- |', ...rows].join('\n')
}

/** The table between its marks in docs/performance.md, which a full run may renew. */
export function writePage(results: readonly Result[], profile: string): void {
  const page = readFileSync(PAGE, 'utf8')
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (from < 0 || to < from) throw new Error(`docs/performance.md: want ${BEGIN} and ${END}`)
  const day = new Date().toISOString().slice(0, 10)
  const rounds = results[0]?.rounds ?? 0
  const note = `Measured on ${day}, ${rounds} rounds, ${cpus().length} cores shared with other work (${cpus()[0]?.model ?? 'unknown'}), Node ${process.version}.`
  writeFileSync(PAGE, `${page.slice(0, from)}${BEGIN}\n${note}\n\n${tableOf(results)}\n\n${profile}\n${page.slice(to)}`)
}
