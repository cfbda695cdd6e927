//! Plugins as separate processes over gRPC, on the wire protocol of HashiCorp go-plugin: host and plugin
