import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { identifyProcess, isAlive, markedProcesses } from './process-table.ts'
import { KeptProcess } from './processes.ts'

const scratch = mkdtempSync(join(tmpdir(), 'weft-processes-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** A kept shell, and a way to wait for a condition that its starts and ends bring about. */
function keep(script: string, env: Record<string, string> = {}) {
  const listeners = new Set<() => void>()
  const logFile = join(scratch, `${Math.random()}.log`)
  const tell = () => {
    for (const listener of [...listeners]) listener()
  }
  const process = new KeptProcess(
    { argv: ['sh', '-c', script], env: { PATH: globalThis.process.env['PATH'] ?? '', ...env }, cwd: '/', logFile },
    { backoffMs: 10, backoffLimitMs: 40, onChange: tell },
  )
  const until = (isTrue: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!isTrue()) return
        listeners.delete(look)
        resolve()
      }
      listeners.add(look)
      look()
    })
  return { process, until, log: () => readFileSync(logFile, 'utf8') }
}

describe('a kept process', () => {
  test('starts again when it ends, each time later, until it is stopped', async () => {
    const { process, until, log } = keep('echo born; exit 3')
    await until(() => process.restarts >= 3 && process.pid === null)
    expect(process.lastExit).toMatchObject({ code: 3, signal: null })
    await process.stop(1000)
    expect(process.pid).toBeNull()
    expect(log().match(/born/g)).toHaveLength(process.restarts + 1)
  })

  test('what it writes on both streams is in its log', async () => {
    const { process, until, log } = keep('echo out; echo err >&2; exit 0')
    await until(() => process.restarts >= 1)
    await process.stop(1000)
    expect(log()).toContain('out\nerr\n')
  })

  test('a stop is SIGTERM first, and SIGKILL for one that does not hear it', async () => {
    const kind = keep('sleep 1000')
    await kind.process.stop(10_000)
    expect(kind.process.lastExit?.signal).toBe('SIGTERM')

    const deaf = keep('trap "" TERM; echo deaf; while :; do sleep 0.02; done')
    while (!deaf.log().includes('deaf')) await new Promise(setImmediate)
    await deaf.process.stop(50)
    expect(deaf.process.lastExit?.signal).toBe('SIGKILL')
  })

  test('what it has started ends with it', async () => {
    const mark = `test-${process.pid}-${Date.now()}`
    const parent = keep('sleep 1000 & echo $!; wait', { WEFT_MESH: mark })
    while (!/\d+\n/.test(parent.log())) await new Promise(setImmediate)
    const child = identifyProcess(Number(parent.log()))
    if (child === undefined) throw new Error('the child is not there')
    // A process between fork and exec has no environment to be read.
    while (markedProcesses(mark).length < 2) await new Promise(setImmediate)
    expect(markedProcesses(mark).sort()).toEqual([parent.process.pid, child.pid].sort())
    await parent.process.stop(1000)
    while (isAlive(child)) await new Promise(setImmediate)
    expect(markedProcesses(mark)).toEqual([])
  })

  test('a program that cannot be started counts as one that ends', async () => {
    const logFile = join(scratch, 'missing.log')
    const { promise, resolve } = Promise.withResolvers<void>()
    const missing: KeptProcess = new KeptProcess(
      { argv: ['/no/such/program'], env: {}, cwd: '/', logFile },
      { backoffMs: 10, backoffLimitMs: 10, onChange: () => queueMicrotask(() => missing.restarts > 0 && resolve()) },
    )
    await promise
    await missing.stop(100)
    expect(missing.lastExit?.code).toBe(127)
  })
})

describe('table of processes', () => {
  test('a process id with another time of start is another process', () => {
    const self = identifyProcess(process.pid)
    if (self === undefined) throw new Error('this process is not there')
    expect(isAlive(self)).toBe(true)
    expect(isAlive({ ...self, startedAt: '1' })).toBe(false)
    expect(isAlive({ pid: 2 ** 22 + 1, startedAt: self.startedAt })).toBe(false)
  })
})
