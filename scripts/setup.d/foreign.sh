# Part of scripts/setup: the programs of others that the end-to-end tests build from their Go modules, before the tests' clocks
# run: Kubernetes takes about ten minutes the first time, Jaeger five. What is built already is left alone.

build_jaeger() {
  local cache=${WEFT_CACHE:-/var/cache/weft-test}
  # The same command as ../shared/jaeger/up, which would go on to run it.
  if [ ! -x "$cache/bin/jaeger" ]; then
    say 'building Jaeger from its Go module: about five minutes'
    mkdir -p "$cache/bin"
    (cd ../shared/jaeger && go build -trimpath -o "$cache/bin/jaeger" github.com/jaegertracing/jaeger/cmd/all-in-one) \
      >.cache/jaeger.log 2>&1 || die 'Jaeger could not be built' "$(tail -n 5 .cache/jaeger.log)"
  fi
}

build_kubernetes() {
  if [ ! -x "${MESH_CLUSTER_DIR:-/var/cache/mesh-cluster}/bin/webhook" ]; then
    say 'building Kubernetes from its Go modules: about ten minutes'
  fi
  MESH_CLUSTER_NICE=0 ../shared/cluster/build >.cache/cluster.log 2>&1 ||
    die 'the programs of ../shared/cluster could not be built' "$(tail -n 5 .cache/cluster.log)"
  ../shared/tools/run helm version >.cache/helm.log 2>&1 || die 'Helm could not be built' "$(tail -n 5 .cache/helm.log)"
}
