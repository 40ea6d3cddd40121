// Structured logs of the processes: one JSON line each with stable keys (ts, level, msg).
import pino, { type Logger } from 'pino'

export type Log = Logger

export function createLog(name: string, level: string): Log {
  return pino({
    name,
    level,
    base: null,
    messageKey: 'msg',
    timestamp: () => `,"ts":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }), bindings: () => ({ name }) },
  })
}

export const silentLog: Log = pino({ level: 'silent' })
