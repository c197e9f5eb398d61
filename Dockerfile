FROM golang:1.26 AS build
ARG VERSION=dev
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/prometheus/common/version.Version=${VERSION}" -o /watchdog ./cmd/watchdog

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /watchdog /bin/watchdog
USER 65532:65532
ENTRYPOINT ["/bin/watchdog"]
