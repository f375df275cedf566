# oauthproxy in a container: one static program and the roots of certificates,
# no shell, no root. How to run it: docs/container.md

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -ldflags=-s -o /out/oauthproxy ./cmd/oauthproxy
RUN mkdir /out/state

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/oauthproxy /oauthproxy
COPY --from=build --chown=65532:65532 --chmod=700 /out/state /var/lib/oauthproxy
# A user that owns nothing but what the service has to remember.
USER 65532:65532
VOLUME /var/lib/oauthproxy
EXPOSE 25/tcp 110/tcp 143/tcp 587/tcp
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["/oauthproxy", "status"]
ENTRYPOINT ["/oauthproxy"]
CMD ["serve", "--config", "/etc/oauthproxy/config.yaml"]
