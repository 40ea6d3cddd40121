import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import type { Addressed } from '#flow/connection.ts'
import { type Discoverer, type Looked, lookUp } from './look-up.ts'
import type { KnownDestination, Target } from './table.ts'

const destination = (dropped = AbortSignal.any([])) => ({ dropped }) as KnownDestination
const DESTINATION = destination()
const TARGET = {} as Target

function look(discovery: Discoverer, host = '10.0.0.1'): Promise<Looked> {
  const layer = lookUp<Addressed, Looked>({
    discovery,
    targetOf: () => TARGET,
    isOfMesh: (each) => each === '10.0.0.1',
  })
  const input: Addressed = {
    socket: {} as Socket,
    direction: 'outbound',
    signal: new AbortController().signal,
    destination: { host, port: 80 },
  }
  return layer(async (looked) => looked)(input)
}

const answering = (answer: KnownDestination | null | undefined): Discoverer => ({
  known: () => answer,
  find: async () => answer ?? null,
})

test('what discovery knows is the target of the moment', async () => {
  expect((await look(answering(DESTINATION))).target?.()).toBe(TARGET)
})

test('what is known not to be of the mesh passes as it is', async () => {
  expect((await look(answering(null))).target).toBeNull()
})

test('without an answer an address outside the mesh passes as it is', async () => {
  expect((await look(answering(undefined), '192.0.2.1')).target).toBeNull()
})

test('without an answer an address of the mesh is refused, as its bytes would cross in clear', async () => {
  await expect(look(answering(undefined))).rejects.toMatchObject({ code: 'NO_DISCOVERY' })
})

test('a connection that outlives its subscription goes by the new answer as soon as there is one', async () => {
  const renewed = destination()
  let answer: KnownDestination | undefined = destination(AbortSignal.abort())
  const asked: KnownDestination[] = []
  const layer = lookUp<Addressed, Looked>({
    discovery: { known: () => answer, find: async () => renewed },
    targetOf: (each) => {
      asked.push(each)
      return TARGET
    },
    isOfMesh: () => true,
  })
  const socket = {} as Socket
  const signal = new AbortController().signal
  const looked = await layer(async (each) => each)({
    socket,
    direction: 'outbound',
    signal,
    destination: { host: '10.0.0.1', port: 80 },
  })
  const old = answer
  answer = undefined
  looked.target?.()
  answer = renewed
  looked.target?.()

  expect(asked).toEqual([old, renewed])
})
