# The static binary and nothing else. Build it first:
#   CGO_ENABLED=0 go build -trimpath -o bin/op25b ./controller
FROM scratch
COPY bin/op25b /op25b
ENTRYPOINT ["/op25b"]
