# The programs of the npm package, as the jobs of a region run them. Pin both bases by their digests where you build it, and name the image by its own
# digest in the stacks' settings: `docker build --build-arg BUILD=node@sha256:… --build-arg BASE=… --build-arg VERSION=… .`
ARG BUILD=node:24-trixie-slim
ARG BASE=gcr.io/distroless/nodejs24-debian13:nonroot

FROM ${BUILD} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY LICENSE README.md ./
COPY deploy deploy
COPY components components
COPY package package
COPY quickstart quickstart
COPY runtime runtime
COPY setup setup
RUN node package/build.ts /package
# A volume that is mounted there for the first time gets its owner from here.
RUN mkdir /settings

FROM ${BASE}
ARG VERSION=unknown
LABEL org.opencontainers.image.title="qdrant-dr" \
      org.opencontainers.image.description="Disaster recovery for Qdrant, as code" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /package/dist /app
COPY --from=build --chown=65532:65532 /settings /settings
# As setup/node-flags.mjs says.
ENV NODE_ENV=production NODE_OPTIONS="--disable-warning=ExperimentalWarning --max-semi-space-size=1" MALLOC_ARENA_MAX=1
USER 65532:65532
WORKDIR /tmp
# The base's Node, with what Node does not take from its environment.
ENTRYPOINT ["/nodejs/bin/node", "--single-threaded-gc"]
CMD ["/app/qdrant-dr.mjs", "--help"]
