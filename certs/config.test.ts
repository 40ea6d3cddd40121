import { expect, test } from 'vitest'
import { readCertsConfig } from './config.ts'

test('without settings certs listens on loopback and signs for a day', () => {
  expect(readCertsConfig({})).toMatchObject({
    listen: [
      { host: '127.0.0.1', port: 15012 },
      { host: '::1', port: 15012 },
    ],
    svidLifetimeMs: 24 * 3600 * 1000,
  })
})

test('a certificate may last for a minute, but not for a moment', () => {
  expect(readCertsConfig({ WEFT_SVID_LIFETIME: '60s' }).svidLifetimeMs).toBe(60_000)
  expect(() => readCertsConfig({ WEFT_SVID_LIFETIME: '29s' })).toThrow(
    'WEFT_SVID_LIFETIME=29s: want a duration of 30s or more, such as 24h',
  )
})

test('every mistake is told at once', () => {
  expect(() =>
    readCertsConfig({ WEFT_LISTEN: '10.0.0.1', WEFT_DRAIN_TIMEOUT: 'soon', WEFT_LOG_LEVEL: 'loud' }),
  ).toThrow(
    /WEFT_LISTEN=10\.0\.0\.1: want addresses with ports[^\n]*\nWEFT_DRAIN_TIMEOUT=soon: [^\n]*\nWEFT_LOG_LEVEL=loud: /,
  )
})
