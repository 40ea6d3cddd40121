// For the inbound path: an application must not speak in the name of its sidecar. A caller's sidecar repeats a request
// of any method when x-weft-reason says that it never arrived, so only sidecars may set that field.
import type { Step } from '#flow/exchange.ts'
import { removeField } from '#flow/fields.ts'
import { REASON_FIELD } from './answer-faults.ts'

export const removeForeignReason: Step = {
  name: 'foreign-reason',
  onResponse(exchange) {
    removeField(exchange.response, REASON_FIELD)
    return 'continue'
  },
}
