# The tag is go.mod's toolchain. The digest is the index of that tag for all platforms; renew both together:
#   docker buildx imagetools inspect golang:1.26.8 --format '{{.Manifest.Digest}}'
FROM golang:1.26.8@sha256:6c2a5538f964f1c82f97ad14988bf05de100d922d159d0e398b54c7b0ca0c6c9 AS build
ARG VERSION=dev
ARG COMMIT=unknown
WORKDIR /src
COPY . .
RUN make bin/watchdog VERSION="$VERSION" COMMIT="$COMMIT"
RUN echo 'watchdog:x:65532:65532::/:/sbin/nologin' >/etc/passwd.watchdog

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /etc/passwd.watchdog /etc/passwd
COPY --from=build /src/bin/watchdog /bin/watchdog
USER 65532:65532
ENTRYPOINT ["/bin/watchdog"]
