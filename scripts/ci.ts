// Runs the gates and the suites for CI and counts what the runners say in JSON. A skipped test counts as failed, and so
// does a suite that ran nothing: a green line must mean that everything was seen to work.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const ROOT = join(import.meta.dirname, '..')
const TOOLS = ['biome', 'tsc', 'knip', 'docs', 'charts', 'shell']
/** Minutes before a suite is stopped; each takes half of it at most on two cores that do nothing else. */
const SUITES = { unit: 14, integration: 22, e2e: 18, cluster: 20, kubernetes: 40 } as const

export interface Count {
  passed: number
  /** A line for each failure. */
  readonly failures: string[]
}

interface VitestResults {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages: readonly string[]
    }[]
  }[]
}

/** Counts one suite by vitest's JSON; undefined stands for results that were never written. What it printed is told where they say nothing. */
export function countSuite(suite: string, results: VitestResults | undefined, exitCode: number, output = ''): Count {
  const count: Count = { passed: 0, failures: [] }
  for (const file of results?.testResults ?? []) {
    // Of a hook, or of the file itself; the tests below it were skipped.
    if (file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed')) {
      count.failures.push(`${suite}: ${file.name}: ${file.message}`)
    }
    for (const { fullName, status, failureMessages } of file.assertionResults) {
      if (status === 'passed') count.passed++
      else count.failures.push(`${suite}: ${file.name}: ${fullName} (${status})\n${failureMessages.join('\n')}`)
    }
  }
  const printed = output.slice(-6000)
  if (count.passed + count.failures.length === 0) count.failures.push(`${suite}: ran no test\n${printed}`)
  else if (exitCode !== 0 && count.failures.length === 0) {
    count.failures.push(`${suite}: ended with ${exitCode}\n${printed}`)
  }
  return count
}

interface Ended {
  readonly exitCode: number
  readonly output: string
}

/** Runs to the end or to the limit, then kills its whole process group: a suite may have started others. */
function run(command: readonly [string, ...string[]], limitMinutes: number): Promise<Ended> {
  const [file, ...args] = command
  const child = spawn(file, args, { cwd: ROOT, detached: true, env: { ...process.env, NO_COLOR: '1' } })
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-200_000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      output += `\nci: stopped after ${limitMinutes} minutes`
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    }, limitMinutes * 60_000)
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ exitCode: code ?? 1, output })
    })
  })
}

async function runTool(tool: string): Promise<Count> {
  const { exitCode, output } = await run(['scripts/check', tool], 5)
  return exitCode === 0
    ? { passed: 1, failures: [] }
    : { passed: 0, failures: [`check ${tool}\n${output.slice(-6000)}`] }
}

async function runSuite(suite: keyof typeof SUITES, mostMinutes: number): Promise<Count> {
  const limit = Math.min(SUITES[suite], mostMinutes)
  if (limit <= 0) return { passed: 0, failures: [`${suite}: no time was left for it`] }
  const { exitCode, output } = await run(['scripts/vitest', suite], limit)
  const file = join(ROOT, `.cache/results/${suite}.json`)
  const results = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as VitestResults) : undefined
  return countSuite(suite, results, exitCode, output)
}

/** The argument says how many minutes are left for all of it, so that it ends with its counts and is not ended without. */
async function main(): Promise<void> {
  const deadline = Date.now() + Number(process.argv[2] ?? Number.POSITIVE_INFINITY) * 60_000
  const counts: Count[] = []
  const add = (name: string, startedAt: number, count: Count) => {
    counts.push(count)
    for (const failure of count.failures) console.log(`FAILED ${failure}\n`)
    const seconds = Math.round((Date.now() - startedAt) / 1000)
    console.log(`${name}: ${count.passed} passed, ${count.failures.length} failed (${seconds} s)`)
  }
  for (const tool of TOOLS) add(`check ${tool}`, Date.now(), await runTool(tool))
  for (const suite of Object.keys(SUITES) as (keyof typeof SUITES)[]) {
    const startedAt = Date.now()
    add(suite, startedAt, await runSuite(suite, (deadline - startedAt) / 60_000))
  }
  const passed = counts.reduce((sum, count) => sum + count.passed, 0)
  const failed = counts.reduce((sum, count) => sum + count.failures.length, 0)
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main()
