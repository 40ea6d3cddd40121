# The images of Weft: targets weft-sidecar (sidecar and init container) and weft-control (control, certs, injector, command
# line). Needs dist/ (with dist/sbom/) and node_modules/ of this checkout: scripts/images --docker makes them and calls this.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS node
ARG TARGETARCH=amd64
RUN apt-get update \
  && apt-get install --yes --no-install-recommends libatomic1 ca-certificates \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/*
# npm says x64 where images say amd64.
RUN --mount=type=bind,source=node_modules,target=/packages \
  case "$TARGETARCH" in amd64) arch=x64 ;; arm64) arch=arm64 ;; esac \
  && install -m 0755 "/packages/node-linux-$arch/bin/node" /usr/bin/node
ENV NODE_ENV=production
WORKDIR /weft
COPY dist/package.json LICENSE ./
COPY dist/contract ./contract/

FROM node AS weft-sidecar
RUN apt-get update \
  && apt-get install --yes --no-install-recommends iptables \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/*
COPY dist/node_modules ./node_modules/
COPY dist/sidecar.js dist/init.js dist/drain.js ./
COPY dist/sbom/weft-sidecar.json ./sbom.json
LABEL org.opencontainers.image.title="weft-sidecar" \
  org.opencontainers.image.description="The sidecar of Weft, and its init container" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.source="https://github.com/weft-mesh/weft"
USER 1337:1337
ENTRYPOINT ["node"]
CMD ["/weft/sidecar.js"]

FROM node AS weft-control
COPY dist/control.js dist/certs.js dist/injector.js dist/weft.js ./
COPY dist/sbom/weft-control.json ./sbom.json
LABEL org.opencontainers.image.title="weft-control" \
  org.opencontainers.image.description="Control plane, certificate authority, injector and command line of Weft" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.source="https://github.com/weft-mesh/weft"
USER 65532:65532
ENTRYPOINT ["node"]
CMD ["/weft/control.js"]
