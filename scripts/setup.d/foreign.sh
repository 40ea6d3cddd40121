# Part of scripts/setup: the programs of others that the end-to-end tests build from their Go modules, before the tests' clocks
# run: Kubernetes takes about ten minutes the first time, Jaeger five, the conformance suite four. What is built already is left alone.

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

# The interop client and server of grpc-go, for test/e2e/grpc-interop.test.ts.
build_grpc_interop() {
  local bin=${WEFT_CACHE:-/var/cache/weft-test}/bin program
  mkdir -p "$bin"
  for program in client server; do
    [ ! -x "$bin/grpc-interop-$program" ] || continue
    say "building the interop $program of grpc-go: about a minute"
    (cd test/fixtures/grpc-interop && go build -trimpath -ldflags '-s -w' -o "$bin/grpc-interop-$program" \
      "google.golang.org/grpc/interop/$program") >.cache/grpc-interop.log 2>&1 ||
      die "the interop $program of grpc-go could not be built" "$(tail -n 5 .cache/grpc-interop.log)"
  done
}

build_kubernetes() {
  if [ ! -x "${MESH_CLUSTER_DIR:-/var/cache/mesh-cluster}/bin/webhook" ]; then
    say 'building Kubernetes from its Go modules: about ten minutes'
  fi
  MESH_CLUSTER_NICE=0 ../shared/cluster/build >.cache/cluster.log 2>&1 ||
    die 'the programs of ../shared/cluster could not be built' "$(tail -n 5 .cache/cluster.log)"
  ../shared/tools/run helm version >.cache/helm.log 2>&1 || die 'Helm could not be built' "$(tail -n 5 .cache/helm.log)"
  build_conformance
}

# What ../shared/gateway-api/run builds before it runs: the suite, and the application that its tests call, into the build cache.
build_conformance() {
  local state=${MESH_CLUSTER_DIR:-/var/cache/mesh-cluster} sum program
  sum=$(cd ../shared/gateway-api && cat go.mod go.sum echo/go.mod echo/go.sum | sha256sum)
  [ "$(cat "$state/conformance.built" 2>/dev/null)" != "$sum" ] || return 0
  say 'building the conformance suite of the Gateway API: about four minutes'
  ../shared/gateway-api/run -L >.cache/conformance.log 2>&1 ||
    die 'the conformance suite could not be built' "$(tail -n 5 .cache/conformance.log)"
  for program in server client; do
    (cd ../shared/gateway-api/echo && GOCACHE=${MESH_CLUSTER_GOCACHE:-$state/gocache} CGO_ENABLED=0 \
      go build -trimpath -ldflags '-s -w' -o /dev/null "istio.io/istio/pkg/test/echo/cmd/$program") >.cache/conformance.log 2>&1 ||
      die 'the application of the conformance suite could not be built' "$(tail -n 5 .cache/conformance.log)"
  done
  echo "$sum" >"$state/conformance.built"
}
