// h2spec of ../shared/tools against a port: which of its cases pass, by section and name.
import { execFile } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const RUN = join(import.meta.dirname, '../../../shared/tools/run')
let count = 0

export type CaseResult = 'passed' | 'skipped' | string

/**
 * The first run builds h2spec, which takes a minute or two. What a failed case had expected and seen is its result. A case waits that
 * many seconds for an answer.
 */
export async function runH2spec(port: number, limitSeconds: number): Promise<ReadonlyMap<string, CaseResult>> {
  const report = join(tmpdir(), `weft-h2spec-${process.pid}-${count++}.xml`)
  const argv = ['h2spec', '-h', '127.0.0.1', '-p', `${port}`, '-o', `${limitSeconds}`, '-j', report]
  try {
    // It exits with 1 when a case has failed; what matters is its report.
    const { stderr } = await promisify(execFile)(RUN, argv, { maxBuffer: 16 << 20 }).catch(
      (error: { stderr?: string }) => ({ stderr: error.stderr ?? String(error) }),
    )
    return casesOf(readReport(report, stderr))
  } finally {
    rmSync(report, { force: true })
  }
}

function readReport(file: string, hint: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new Error(`h2spec wrote no report: ${hint}`, { cause: error })
  }
}

function casesOf(xml: string): ReadonlyMap<string, CaseResult> {
  const cases = new Map<string, CaseResult>()
  for (const [, section, name, inner = ''] of xml.matchAll(
    /<testcase package="([^"]*)" classname="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs,
  )) {
    const plain = `${name}`.replaceAll('&#34;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&')
    const text = inner.trim()
    const result = text === '' ? 'passed' : text.startsWith('<skipped') ? 'skipped' : text.replaceAll(/<[^>]*>/g, '')
    cases.set(`${section}: ${plain}`, result)
  }
  return cases
}
