// The attempts of kubernetes-suite.ts where there is no API server to build: a fake says what a real one would.
import { startFakeWorld } from '../support/kubernetes-world.ts'
import { testSpoofing } from './kubernetes-suite.ts'

testSpoofing(startFakeWorld)
