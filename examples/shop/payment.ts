// Takes the money, by gRPC. Runs in two replicas, each of which says who it is.
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { type ChargeRequest, PaymentService, type Receipt, type ReceiptsRequest } from './payment-api.ts'

const replica = process.env['WEFT_REPLICA'] ?? '0'
const MOST_RECEIPTS = 100
let charged = 0

function charge({ request }: ServerUnaryCall<ChargeRequest, Receipt>, answer: sendUnaryData<Receipt>): void {
  const { product, cents } = request
  if (cents === 0) {
    answer({ code: status.INVALID_ARGUMENT, details: 'nothing to pay' })
    return
  }
  console.log(`payment: ${cents} cents for ${product}`)
  answer(null, { number: ++charged, product, cents, replica })
}

function receipts(call: ServerWritableStream<ReceiptsRequest, Receipt>): void {
  const { customer, count } = call.request
  console.log(`payment: ${count} receipts of ${customer}`)
  let number = 0
  const next = () => {
    if (call.cancelled || number >= Math.min(count, MOST_RECEIPTS)) {
      call.end()
      return
    }
    call.write({ number: ++number, product: '1', cents: 4200, replica })
    setTimeout(next, 20)
  }
  next()
}

const server = new Server()
server.addService(PaymentService.service, { Charge: charge, Receipts: receipts })
server.bindAsync(`[::]:${process.env['PORT'] ?? 8080}`, ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error
  console.log(`payment: serves on port ${port}`)
})
process.on('SIGTERM', () => {
  console.log('payment: ends')
  server.tryShutdown(() => process.exit(0))
})
