"""The gRPC gateway: edge, identity, the one query pipeline, admission and release, composition root."""
