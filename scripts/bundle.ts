// How esbuild makes one file of a process.
import type { BuildOptions } from 'esbuild'

/** CommonJS packages within an ES module ask for these. */
const BANNER = `import { createRequire as weftCreateRequire } from 'node:module'
import { fileURLToPath as weftFileURLToPath } from 'node:url'
const require = weftCreateRequire(import.meta.url)
const __filename = weftFileURLToPath(import.meta.url)
const __dirname = weftFileURLToPath(new URL('.', import.meta.url))`

/** These hide a require() from the bundler in their ES modules; their CommonJS files do not. */
const ALIAS = {
  '@opentelemetry/otlp-grpc-exporter-base': './node_modules/@opentelemetry/otlp-grpc-exporter-base/dist/index.cjs',
}

export const BUNDLE = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  banner: { js: BANNER },
  alias: ALIAS,
  // Names stay as they are: a stack trace must be readable without a map.
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
} as const satisfies BuildOptions
