// GET /logging and POST /logging?level=: the log level, for the time of a hunt.
import { json, type Page, plain } from './http.ts'

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export interface LogLevel {
  get(): string
  set(level: string): void
}

export function showLevelPage(level: LogLevel): Page {
  return () => json(200, { level: level.get() })
}

export function setLevelPage(level: LogLevel): Page {
  return (query) => {
    const wanted = query.get('level') ?? ''
    if (!LOG_LEVELS.some((known) => known === wanted)) {
      return plain(400, `level=${JSON.stringify(wanted)}: want one of ${LOG_LEVELS.join(', ')}`)
    }
    level.set(wanted)
    return json(200, { level: level.get() })
  }
}
