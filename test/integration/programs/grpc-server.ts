// The application of grpc.test.ts: grpc-js with every kind of call.
import { startGrpcApp } from '../../support/grpc-echo.ts'

const app = await startGrpcApp(process.env['HOSTNAME'] ?? process.argv[2] ?? 'app', '[::]:9090')
process.on('SIGTERM', () => app.server.tryShutdown(() => process.exit(0)))
