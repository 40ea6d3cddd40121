# The images of Weft: targets weft-sidecar (sidecar and init container), weft-control (control, certs, injector, command line)
# and weft-demo (the shop). Needs dist/ and node_modules/ of this checkout: scripts/images --docker makes them and calls this.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS node
ARG TARGETARCH=amd64
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
  && apt-get install --yes --no-install-recommends libatomic1 ca-certificates \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/*
# npm says x64 where images say amd64.
RUN --mount=type=bind,source=node_modules,target=/packages \
  case "$TARGETARCH" in amd64) arch=x64 ;; arm64) arch=arm64 ;; esac \
  && install -m 0755 "/packages/node-linux-$arch/bin/node" /usr/bin/node
ENV NODE_ENV=production
LABEL org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.source="https://github.com/weft-mesh/weft" \
  org.opencontainers.image.vendor="The authors of Weft"
ENTRYPOINT ["node"]

# What each image holds is asked of its own dpkg, when nothing more is installed.
FROM node AS weft-sidecar
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
  && apt-get install --yes --no-install-recommends iptables \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/*
WORKDIR /weft
COPY dist/package.json LICENSE ./
COPY dist/contract ./contract/
COPY dist/node_modules ./node_modules/
COPY dist/sidecar.js dist/init.js dist/drain.js ./
RUN --mount=type=bind,source=.,target=/checkout node /checkout/scripts/sbom.ts weft-sidecar --installed >sbom.json
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="weft-sidecar" \
  org.opencontainers.image.description="The sidecar of Weft, and its init container" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
USER 1337:1337
CMD ["--max-semi-space-size=4", "--no-parallel-scavenge", "/weft/sidecar.js"]

FROM node AS weft-control
WORKDIR /weft
COPY dist/package.json LICENSE ./
COPY dist/contract ./contract/
COPY dist/control.js dist/certs.js dist/injector.js dist/weft.js ./
RUN --mount=type=bind,source=.,target=/checkout node /checkout/scripts/sbom.ts weft-control --installed >sbom.json
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="weft-control" \
  org.opencontainers.image.description="Control plane, certificate authority, injector and command line of Weft" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
USER 65532:65532
CMD ["/weft/control.js"]

FROM node AS weft-demo
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
  && apt-get install --yes --no-install-recommends python3 redis-server \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/*
WORKDIR /app
COPY dist/package.json LICENSE ./
COPY examples ./examples/
RUN --mount=type=bind,source=.,target=/checkout node /checkout/scripts/sbom.ts weft-demo --installed >sbom.json
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="weft-demo" \
  org.opencontainers.image.description="The example shop of Weft" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
USER 1000:1000
ENTRYPOINT []
CMD ["node"]
