# The same words here, in scripts/ and in CI. `make` alone says them.
.PHONY: help setup demo check test e2e images bench fix clean
help:
	@echo 'make demo      the example shop in a mesh on this machine: real traffic, then addresses to try (root)'
	@echo '               CHECK=1 compares what was seen with what must hold, and ends'
	@echo 'make check     format, lint, borders, types, dead code, generated docs, shell syntax'
	@echo 'make test      unit and integration tests (root; integration makes network namespaces)'
	@echo 'make e2e       the mesh with a real Jaeger and on a real Kubernetes node (root, Go, ../shared)'
	@echo 'make images    both container images as folders in .cache/images, with their sizes; LOAD=1 also into ../shared/cluster,'
	@echo '               DOCKER=1 with docker or buildah instead'
	@echo 'make bench     what the data path costs on this machine'
	@echo 'make fix       format, and mend what lint can mend'
	@echo 'make setup     install what all of these need (the others do it themselves)'
	@echo 'make clean     remove what was built or downloaded'
setup:
	@scripts/setup test
demo:
	@scripts/setup demo
	@CHECK='$(CHECK)' scripts/demo
check:
	@scripts/setup demo
	@scripts/check
test:
	@scripts/test
e2e:
	@scripts/e2e
images:
	@scripts/setup demo
	@scripts/images $(if $(LOAD),--load) $(if $(DOCKER),--docker)
bench:
	@scripts/setup demo
	@scripts/with-node node bench/main.ts
fix:
	@scripts/setup demo
	@scripts/with-node biome check --write .
clean:
	rm -rf dist .cache node_modules
