// Our codec against Node's own parser. WEFT_FUZZ_SECONDS=600 makes it search longer; a failure prints its seed.
import { readdirSync, readFileSync } from 'node:fs'
import { METHODS } from 'node:http'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fieldValue } from '#flow/fields.ts'
import { mutatedRequests, mutatedResponses } from '../../test/support/nearly-http1.ts'
import { type Reading, requestsByNode, requestsByUs, responseByNode, responseByUs } from './testing-readers.ts'

const SECONDS = Number(process.env['WEFT_FUZZ_SECONDS'] ?? 2)
const SEARCH = {
  numRuns: Number.MAX_SAFE_INTEGER,
  interruptAfterTimeLimit: SECONDS * 1000,
  markInterruptAsFailure: false,
}
const TIMEOUT_MS = SECONDS * 1000 + 30_000
const CORPUS = new URL('../../test/fixtures/http1-corpus/', import.meta.url)

// ---- what must hold

/**
 * What we passed on, Node must have read in the same way; and after `ok` there is nothing more. False where we read on by
 * design and there is nothing to compare with.
 */
function expectSameReading(ours: Reading, node: Reading): boolean {
  for (const [index, message] of ours.messages.entries()) {
    const other = node.messages[index]
    if (other === undefined && isByDesign(ours, index, node)) return false
    if (other === undefined)
      throw new Error(`we read ${JSON.stringify(message)}, Node nothing (${node.verdict} ${node.detail})`)
    if (message.isComplete) {
      expect(message).toEqual(other)
      continue
    }
    expect([message.start, message.fields]).toEqual([other.start, other.fields])
    expect(other.body.startsWith(message.body)).toBe(true)
  }
  if (ours.verdict === 'ok') expect(node.messages).toHaveLength(ours.messages.length)
  return true
}

/**
 * The classes in which we read on and Node does not. A method is any token in upper case, where Node has a list. `close` in a
 * 1xx head is taken to speak of the connection after the final answer. And behind a request to upgrade that is not taken up
 * comes the next request, which Node throws away when both come at once.
 */
function isByDesign(ours: Reading, index: number, node: Reading): boolean {
  if (node.detail === 'HPE_INVALID_METHOD') return !METHODS.includes(ours.messages[index]?.start.split(' ')[0] ?? '')
  const former = ours.messages[index - 1]
  if (former === undefined) return false
  if (node.detail === 'HPE_CLOSED_CONNECTION') return Number(former.start) < 200
  return node.verdict === 'ok' && /upgrade/i.test(fieldValue(former.fields, 'connection') ?? '')
}

async function compareRequests(bytes: Buffer): Promise<void> {
  const ours = await requestsByUs(bytes)
  const node = await requestsByNode(bytes)
  const isSame = expectSameReading(ours, node)
  if (!isSame || ours.verdict !== 'ok' || node.verdict !== 'refused') return
  // Bytes behind a last request: Node complains of them, we read them no more. Neither takes them for a request.
  if (node.detail === 'HPE_CLOSED_CONNECTION') return
  // We judge a line at its end, Node as it comes: then it must be refused once it has one.
  const completed = await requestsByUs(Buffer.concat([bytes, Buffer.from('\r\n\r\n')]))
  expect(completed.verdict).toBe('refused')
}

async function compareResponse(bytes: Buffer, method: string): Promise<void> {
  const ours = await responseByUs(bytes, method)
  const node = await responseByNode(bytes, method)
  const isSame = expectSameReading(ours, node)
  if (isSame && ours.verdict === 'ok') expect(node.verdict).toBe('ok')
}

const asBytes = (text: string) => Buffer.from(text, 'latin1')

// ---- the tests

test('requests that we pass on are read in the same way by Node, and what Node refuses we refuse', {
  timeout: TIMEOUT_MS,
}, async () => {
  await fc.assert(
    fc.asyncProperty(mutatedRequests, (text) => compareRequests(asBytes(text))),
    SEARCH,
  )
})

test('answers that we pass on are read in the same way by Node, and what Node refuses we refuse', {
  timeout: TIMEOUT_MS,
}, async () => {
  const method = fc.constantFrom('GET', 'GET', 'HEAD')
  await fc.assert(
    fc.asyncProperty(mutatedResponses, method, (text, of) => compareResponse(asBytes(text), of)),
    SEARCH,
  )
})

test('the same bytes mean the same however they are cut', { timeout: TIMEOUT_MS }, async () => {
  const cuts = fc.array(fc.nat(400), { maxLength: 12 })
  const property = fc.asyncProperty(mutatedRequests, mutatedResponses, cuts, async (request, response, where) => {
    expect(await requestsByUs(asBytes(request), where)).toEqual(await requestsByUs(asBytes(request)))
    const everywhere = Array.from(response, (_, index) => index)
    expect(await responseByUs(asBytes(response), 'GET', everywhere)).toEqual(
      await responseByUs(asBytes(response), 'GET'),
    )
  })
  await fc.assert(property, SEARCH)
})

const VERDICTS: Record<string, { ours: string; node: string }> = JSON.parse(
  readFileSync(new URL('verdicts.json', CORPUS), 'utf8'),
)
const files = readdirSync(CORPUS).filter((file) => /\.(?:request|response)$/.test(file))

test('every file of the corpus has its verdicts', () => {
  expect(files.toSorted()).toEqual(Object.keys(VERDICTS).toSorted())
})

test.each(files)('corpus: %s', async (file) => {
  const bytes = readFileSync(new URL(file, CORPUS))
  const isRequest = file.endsWith('.request')
  const ours = isRequest ? await requestsByUs(bytes) : await responseByUs(bytes, 'GET')
  const node = isRequest ? await requestsByNode(bytes) : await responseByNode(bytes, 'GET')

  expectSameReading(ours, node)
  expect({ ours: ours.verdict, node: node.verdict }).toEqual(VERDICTS[file])
})
