"""Code generated from proto/greeter/v1/greeter.proto; README.md tells how."""
