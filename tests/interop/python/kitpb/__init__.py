"""Code generated from proto/conformance/v1/kit.proto; README.md tells how."""
