// How V8 keeps the heap of a sidecar, wherever one is started: pod, image, `weft up` and benchmark.

/**
 * Young objects in 4 MiB at a time instead of 16, and collected by the thread that made them: a sidecar has little in its heap, and where others
 * want its cores to wait for helper threads took longer than the work. A third to a half less memory for the same CPU (docs/performance.md).
 */
export const HEAP_FLAGS = ['--max-semi-space-size=4', '--no-parallel-scavenge'] as const
