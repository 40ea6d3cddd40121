import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { checkMachine, checkPorts, findProgram } from './requirements.ts'

const scratch = mkdtempSync(join(tmpdir(), 'weft-requirements-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

test('who is not root is told what root is needed for and what to run', () => {
  expect(() => checkMachine('up', process.env['PATH'] ?? '', 1000)).toThrow(
    expect.objectContaining({
      message: 'weft up needs root: it makes network namespaces and iptables rules',
      wayOut: 'Run: sudo bin/weft up ...',
    }),
  )
})

test('programs that are missing are named with their Debian packages', () => {
  expect(() => checkMachine('up', scratch, 0)).toThrow(
    expect.objectContaining({
      message: expect.stringContaining('programs are missing: ip, iptables-restore'),
      wayOut: 'On Debian: apt-get install iproute2 iptables util-linux',
    }),
  )
})

test('a port that another program has is named, with the way out', async () => {
  await using busy = createServer().listen({ host: '127.0.0.1', port: 0 })
  await once(busy, 'listening')
  const { port } = busy.address() as AddressInfo
  await expect(checkPorts(['127.0.0.1'], [port])).rejects.toMatchObject({
    message: expect.stringContaining(`port ${port} is in use: 127.0.0.1:${port} cannot be had`),
    wayOut: expect.stringContaining('End what listens'),
  })
})

test('a program is found as execvp finds it: in PATH, or by its path from the working directory; a text file is none', () => {
  const name = 'tool'
  writeFileSync(join(scratch, name), '#!/bin/sh\n', { mode: 0o755 })
  writeFileSync(join(scratch, 'notes'), '', { mode: 0o644 })
  expect(findProgram(name, `/nowhere:${scratch}`, '/')).toBe(join(scratch, name))
  expect(findProgram('./tool', '/nowhere', scratch)).toBe(join(scratch, name))
  expect(findProgram(join(scratch, name), '/nowhere', '/')).toBe(join(scratch, name))
  expect(findProgram('notes', scratch, '/')).toBeUndefined()
  expect(findProgram('./tool', scratch, '/')).toBeUndefined()
  expect(findProgram(scratch, dirname(scratch), '/')).toBeUndefined()
})
