// Python's own server, which speaks HTTP/1.0 and closes after each answer, with curl and with Python's urllib.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { pod } from '../../support/documents.ts'
import { expectBothSidecars, meshForFile, NOBODY, programOf, run, scratchDirectory } from './programs.ts'

const python = programOf('python3', 'python3')
const curl = programOf('curl', 'curl')
const PORT = 8000
const BIG = 'a line of a file that is served\n'.repeat(200_000)

const mesh = meshForFile(() => {
  const directory = scratchDirectory('python')
  writeFileSync(join(directory, 'big.txt'), BIG)
  return (
    pod({ name: 'client' }) +
    pod({
      name: 'python',
      command: [python, '-u', '-m', 'http.server', '--bind', '::', '--directory', directory, `${PORT}`],
      ports: [PORT],
      readiness: { httpGet: { path: '/', port: PORT }, periodSeconds: 1 },
      runAsUser: NOBODY,
    })
  )
})
const url = (path: string) => `http://python:${PORT}${path}`

test('curl gets a file and its length, and keeps its connection although the server closes its own each time', async () => {
  const twice = ['--max-time', '20', '-w', '%{num_connects}', url('/big.txt'), url('/big.txt')]

  expect((await run(mesh(), 'client-0', [curl, '-sS', ...twice])) === `${BIG}1${BIG}0`).toBe(true)
  const head = await run(mesh(), 'client-0', [curl, '-sS', '--head', url('/big.txt')])
  expect(head.toLowerCase()).toContain(`content-length: ${BIG.length}\r\n`)
  await expectBothSidecars(mesh(), { client: 'client-0', server: 'python-0', port: PORT, kind: 'request', atLeast: 3 })
})

test('its errors arrive as it wrote them', async () => {
  const said = await run(mesh(), 'client-0', [curl, '-sS', '-w', '%{http_code}', url('/absent')])
  expect(said).toContain('File not found')
  expect(said).toMatch(/404$/)
  const refused = await run(mesh(), 'client-0', [curl, '-sS', '-X', 'PUT', '-d', 'x', '-w', '%{http_code}', url('/')])
  expect(refused).toMatch(/501$/)
})

test('Python’s urllib makes a hundred requests, each on a connection of its own', async () => {
  const script = `
import hashlib, sys, urllib.request
digests = set()
for i in range(100):
    with urllib.request.urlopen("${url('/big.txt')}" if i % 10 == 0 else "${url('/')}", timeout=20) as answer:
        assert answer.status == 200, answer.status
        body = answer.read()
        if i % 10 == 0: digests.add(hashlib.sha256(body).hexdigest())
print(len(digests), len(body) > 0)
`
  expect(await run(mesh(), 'client-0', [python, '-c', script])).toBe('1 True\n')
  await expectBothSidecars(mesh(), {
    client: 'client-0',
    server: 'python-0',
    port: PORT,
    kind: 'request',
    atLeast: 100,
  })
})
