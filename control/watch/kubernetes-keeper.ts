// The configuration in force in a cluster: what is asked for of each object, and what is wrong with some.
import type { Clock } from '#shared/clock.ts'
import type { Log } from '#shared/log.ts'
import { formatProblem, type Problem } from '#shared/resources/problem.ts'
import { Watched } from '#shared/watch.ts'
import { type Compiler, createCompiler, describeFaults, type Model } from '../model/compile.ts'
import type { KubeDocument } from './kubernetes-documents.ts'
import { createKubeFacts, type KubeFacts } from './kubernetes-facts.ts'
import { type KubeObjects, type MeshFacts, toDocuments, toWorld } from './kubernetes-world.ts'

export interface KubernetesKeeperOptions extends MeshFacts {
  readonly clock: Clock
  readonly log: Log
  readonly onCompiled?: (durationMs: number) => void
}

export class KubernetesKeeper {
  readonly model = new Watched<Model | undefined>(undefined)
  readonly problems = new Watched<readonly Problem[]>([])
  readonly documents = new Watched<readonly KubeDocument[]>([])
  readonly #options: KubernetesKeeperOptions
  readonly #facts: KubeFacts
  readonly #compiler: Compiler
  #taken: KubeObjects | undefined

  constructor(options: KubernetesKeeperOptions) {
    this.#options = options
    this.#facts = createKubeFacts(options)
    this.#compiler = createCompiler(this.#facts.facts)
  }

  take(objects: KubeObjects): void {
    const { log, clock, onCompiled } = this.#options
    const startedAt = clock.now()
    this.#facts.take(objects)
    const model = this.#compiler.model(wholeOf(objects, this.#options))
    this.#tellFaults(model)
    this.#takeDocuments(objects)
    const compileMs = clock.now() - startedAt
    onCompiled?.(compileMs)
    if (this.model.current === undefined)
      log.info({ compileMs, pods: objects.pods.size, services: objects.services.size }, 'the cluster is known')
    else log.debug({ compileMs }, 'compiled')
    this.model.set(model)
  }

  /** Before the model that is made of them. */
  #takeDocuments(objects: KubeObjects): void {
    const before = this.#taken?.documents
    this.#taken = objects
    if (before !== undefined && objects.documents.every((map, index) => map === before[index])) return
    const documents = objects.documents.flatMap((map) => [...map.values()])
    const problems = documents.flatMap((document) => document.problems)
    const text = (list: readonly Problem[]) => list.map(formatProblem).join('\n')
    if (text(problems) !== text(this.problems.current)) this.problems.set(problems)
    this.documents.set(documents)
  }

  #tellFaults({ statuses }: Model): void {
    const before = this.model.current?.statuses ?? []
    if (statuses === before) return
    const [old, next] = [new Set(before), new Set(statuses)]
    const known = new Set(describeFaults(before.filter((status) => !next.has(status))))
    const found = describeFaults(statuses.filter((status) => !old.has(status)))
    for (const fault of found) if (!known.has(fault)) this.#options.log.warn({ fault }, fault)
  }
}

/** Made when somebody asks: what is compiled incrementally is not listed for nobody. */
function wholeOf(objects: KubeObjects, facts: MeshFacts) {
  return { documents: () => toDocuments(objects), world: () => toWorld(objects, facts) }
}
