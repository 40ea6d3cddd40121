// The status of a policy as control writes it: PolicyStatus of the Gateway API (GEP-713), and how many sidecars have it in force.
import { z } from 'zod'
import { fields, list, oneOf, wholeNumber } from '#shared/resources/fields.ts'

const upTo = (most: number) => z.string().max(most)

const condition = fields({
  type: upTo(316).describe('What the condition is about: Accepted.'),
  status: oneOf('True', 'False', 'Unknown').describe('Whether it holds.'),
  reason: upTo(1024).describe('One word for a program: Accepted, Conflicted, Invalid or TargetNotFound.'),
  message: upTo(32_768).describe(
    'What a person needs to know: the field at fault, the other object, what would be right.',
  ),
  observedGeneration: wholeNumber(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('The metadata.generation of the policy that this is about.'),
  lastTransitionTime: upTo(64).meta({ format: 'date-time', description: 'When `status` last changed.' }),
}).describe('One thing that control has found.')

const ancestorRef = fields({
  group: upTo(253).optional().describe('API group; "" for a Service or a Namespace.'),
  kind: upTo(63).describe('Kind of the object.'),
  namespace: upTo(63).optional().describe('Its namespace.'),
  name: upTo(253).describe('Its name.'),
  sectionName: upTo(253).optional().describe('A part of it, such as a port.'),
}).describe('The object that the policy acts on.')

const ancestor = fields({
  ancestorRef,
  controllerName: upTo(253).describe('Who wrote this: weft.dev/controller.'),
  conditions: list(condition, 0, 8).meta({
    description: 'What control has found.',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  }),
}).describe('How the policy fares with one object that it acts on.')

export const policyStatusSchema = fields({
  ancestors: list(ancestor, 0, 16).optional().describe('How the policy fares, for each object that it acts on.'),
  applied: upTo(64)
    .optional()
    .describe(
      'How many of the sidecars that it concerns have it in force, such as "41 of 42"; "at least" while a replica of control has not reported.',
    ),
  lagging: list(upTo(316), 0, 16)
    .optional()
    .describe('Pods, as NAMESPACE/NAME, whose sidecars have it not in force; the first of them.'),
}).describe('What control has found.')
