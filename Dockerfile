# The static binary and an empty data directory, and nothing else. Build the binary first:
#   CGO_ENABLED=0 go build -trimpath -o bin/op25b ./controller
FROM scratch
COPY bin/op25b /op25b
# A new volume that is mounted here takes over the owner of this directory, so that the daemon can write to it without being root.
COPY --chown=65532:65532 examples/compose/data /data
USER 65532:65532
ENTRYPOINT ["/op25b"]
