// The interop client of grpc-go asks its interop server, directly and through two sidecars; the client judges each case itself.
import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { status } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../support/caller.ts'
import { type ForeignServer, listening, start } from '../support/foreign-server.ts'
import { freePorts } from '../support/free-ports.ts'
import { startPair } from '../support/pair.ts'

const BIN = join(process.env['WEFT_CACHE'] ?? '/var/cache/weft-test', 'bin')

/** With what the sidecars must have seen of each: how its calls ended, in their order. */
const CASES = {
  empty_unary: [status.OK],
  large_unary: [status.OK],
  client_streaming: [status.OK],
  server_streaming: [status.OK],
  ping_pong: [status.OK],
  empty_stream: [status.OK],
  cancel_after_first_response: [status.CANCELLED],
  status_code_and_message: [status.UNKNOWN, status.UNKNOWN],
  special_status_message: [status.UNKNOWN],
  custom_metadata: [status.OK, status.OK],
  unimplemented_method: [status.UNIMPLEMENTED],
  unimplemented_service: [status.UNIMPLEMENTED],
}

/** Their client gives up after a millisecond or at once: how far its call came, if it left at all, is a matter of time. */
const HASTY = ['timeout_on_sleeping_server', 'cancel_after_begin']

function programOf(name: string): string {
  const program = join(BIN, name)
  try {
    accessSync(program, constants.X_OK)
  } catch (cause) {
    throw new Error(`${program} is missing: scripts/setup e2e builds it, with Go`, { cause })
  }
  return program
}

/** Fails with what the client says when a case does not pass. */
async function runCase(name: string, port: number): Promise<void> {
  const argv = ['-server_host', '127.0.0.1', '-server_port', `${port}`, '-test_case', name]
  await promisify(execFile)(programOf('grpc-interop-client'), argv, { timeout: 60_000 })
}

let server: ForeignServer | undefined
let application = 0
beforeAll(async () => {
  const program = programOf('grpc-interop-server')
  const [port = 0] = await freePorts(1)
  server = start(program, ['-port', `${port}`])
  application = await listening(server, port)
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe.each(HASTY)('%s', (name) => {
  test('passes directly', () => runCase(name, application))

  test('passes through two sidecars', async () => {
    await using pair = await startPair({ application })
    await runCase(name, pair.port)
  })
})

describe.each(Object.entries(CASES))('%s', (name, statuses) => {
  test('passes directly', () => runCase(name, application))

  test('passes through two sidecars, and both know how its calls ended', async () => {
    await using pair = await startPair({ application })
    await runCase(name, pair.port)

    for (const side of ['client', 'server'] as const) {
      const calls = () => pair.events[side].filter((event) => event.kind === 'request')
      await until(`${statuses.length} calls at the ${side}`, () => calls().length >= statuses.length)
      expect(calls()).toMatchObject(statuses.map((grpcStatus) => ({ grpcStatus, version: '2' })))
    }
  })
})
