// The tests of our own HTTP/1.1 codec, run with the Compat engine in its place. What it cannot pass is listed, with the reason: a test
// that newly fails is noticed, and so is one that newly passes.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const TUNNEL = 'http2-proxy ends both directions of a tunnel when one has ended'
const TURN = 'node:http gives a connection back a turn after its request has ended'

const CANNOT_PASS: Readonly<Record<string, string>> = {
  'after a 101 bytes go both ways raw, and each direction ends on its own': TUNNEL,
  'a large end of a tunnel is not cut by the end of the other direction': TUNNEL,
  'a tunnel over TLS keeps its half-close': TUNNEL,
  'an answer may come before the request has ended: it goes on, and both ends free the connection': TURN,
  'takes HEAD with neither as an answer without a body':
    'node:http does not use a connection again after an answer to HEAD that declares no length',
  'what came behind a request to upgrade that is turned down is the next request':
    'node:http hands the connection over at a request to upgrade and parses nothing behind it',
}

interface Results {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[]
  }[]
}

async function runSuite(): Promise<Results['testResults'][number]['assertionResults']> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-compat-'))
  try {
    const file = join(folder, 'results.json')
    const argv = ['vitest', 'run', '--project', 'compat', '--reporter=json', `--outputFile=${file}`]
    // It ends with a failure whenever the list is not empty.
    await promisify(execFile)(join(ROOT, 'scripts/with-node'), argv, { cwd: ROOT }).catch(() => {})
    const { testResults } = JSON.parse(readFileSync(file, 'utf8')) as Results
    return testResults.flatMap(({ assertionResults }) => assertionResults)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('the Compat engine passes the tests of our HTTP/1.1 codec but for those that are listed', {
  timeout: 180_000,
}, async () => {
  const results = await runSuite()
  expect(results.length).toBeGreaterThan(130)
  const failed = results.filter(({ status }) => status !== 'passed').map(({ title }) => title)
  expect(failed.toSorted()).toEqual(Object.keys(CANNOT_PASS).toSorted())
})
