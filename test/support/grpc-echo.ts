// A service of gRPC by grpc-js with every kind of call, and its client. Messages are plain bytes: no .proto is needed.
import {
  type CallOptions,
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'

const bytes = (text: string) => Buffer.from(text)
const text = (buffer: Buffer) => buffer.toString()
const method = (name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<string, string> => ({
  path: `/weft.test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: text,
  responseSerialize: bytes,
  responseDeserialize: text,
})
const METHODS = {
  unary: method('Unary', false, false),
  collect: method('Collect', true, false),
  expand: method('Expand', false, true),
  chat: method('Chat', true, true),
}

export interface GrpcApp extends AsyncDisposable {
  readonly port: number
  readonly calls: () => number
  /** Connections of its peers. */
  readonly server: Server
}

/** `fail N TEXT` ends with that status; `wait MS` answers that late; `once KEY` is UNAVAILABLE to the first call with that key. */
export async function startGrpcApp(name: string, address = '127.0.0.1:0'): Promise<GrpcApp> {
  const server = new Server()
  const seen = new Set<string>()
  let calls = 0
  server.addService(METHODS, {
    unary(call: ServerUnaryCall<string, string>, done: sendUnaryData<string>) {
      calls++
      const [verb, first = '', ...rest] = call.request.split(' ')
      const trailers = new Metadata()
      trailers.set('x-trailer', name)
      const head = new Metadata()
      head.set('x-name', name)
      if (verb === 'fail') return done({ code: Number(first), details: rest.join(' '), metadata: trailers })
      if (verb === 'once' && !seen.has(first)) {
        seen.add(first)
        return done({ code: status.UNAVAILABLE, details: 'not yet' })
      }
      if (verb === 'never') return
      call.sendMetadata(head)
      done(null, `${name} ${call.request} ${call.metadata.get('x-id').join()}`, trailers)
    },
    collect(call: ServerReadableStream<string, string>, done: sendUnaryData<string>) {
      calls++
      const parts: string[] = []
      call.on('data', (part: string) => parts.push(part))
      call.on('end', () => done(null, parts.join('+')))
    },
    expand(call: ServerWritableStream<string, string>) {
      calls++
      for (let i = 0; i < Number(call.request); i++) call.write(`${i}`)
      call.end()
    },
    chat(call: ServerDuplexStream<string, string>) {
      calls++
      call.on('data', (part: string) => call.write(`${name} ${part}`))
      call.on('end', () => call.end())
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  return {
    port,
    server,
    calls: () => calls,
    async [Symbol.asyncDispose]() {
      server.forceShutdown()
    },
  }
}

export interface Reply {
  readonly message: string | undefined
  readonly code: number
  readonly details: string
  readonly metadata: Metadata
  readonly trailers: Metadata
}

export interface GrpcClient extends Disposable {
  unary(message: string, options?: CallOptions): Promise<Reply>
  collect(parts: readonly string[]): Promise<string>
  expand(count: number): Promise<string[]>
  chat(): ClientDuplexStream<string, string>
}

/** All calls of one client go over one connection. */
export function grpcClient(address: string): GrpcClient {
  const client = new Client(address, ChannelCredentials.createInsecure(), { 'grpc.enable_retries': 0 })
  const { unary, collect, expand, chat } = METHODS
  return {
    unary: (message, options = {}) => callUnary(client, message, options),
    collect: (parts) =>
      new Promise((resolve, reject) => {
        const call: ClientWritableStream<string> = client.makeClientStreamRequest(
          collect.path,
          bytes,
          text,
          (error: ServiceError | null, reply?: string) => (error === null ? resolve(reply ?? '') : reject(error)),
        )
        for (const part of parts) call.write(part)
        call.end()
      }),
    expand: async (count) => {
      const call: ClientReadableStream<string> = client.makeServerStreamRequest(expand.path, bytes, text, `${count}`)
      return (await call.toArray()) as string[]
    },
    chat: () => client.makeBidiStreamRequest(chat.path, bytes, text),
    [Symbol.dispose]: () => client.close(),
  }

  function callUnary(of: Client, message: string, options: CallOptions): Promise<Reply> {
    return new Promise((resolve) => {
      const sent = new Metadata()
      sent.set('x-id', '7')
      let head = new Metadata()
      const got: { error: ServiceError | null; reply: string | undefined } = { error: null, reply: undefined }
      const call = of.makeUnaryRequest(unary.path, bytes, text, message, sent, options, (error, reply) => {
        got.error = error
        got.reply = reply
      })
      call.on('metadata', (metadata: Metadata) => {
        head = metadata
      })
      call.on('status', ({ code, details, metadata: trailers }) =>
        // The callback comes with the status, in either order.
        setImmediate(() => resolve({ message: got.reply, code, details, metadata: head, trailers })),
      )
    })
  }
}
