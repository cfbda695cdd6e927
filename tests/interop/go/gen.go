// Package gokit is the root of the Go conformance peers.
//
// kitpb is generated from the repository's proto/conformance/v1/kit.proto, and
// greeterpb from proto/greeter/v1/greeter.proto, and instancespb and metadatapb from
// proto/rpcplugin/v1. To generate them again, run `go generate` here, with protoc,
// protoc-gen-go v1.36.11 and protoc-gen-go-grpc v1.6.2 on the PATH. The protoc
// that comes with the Python package grpcio-tools (`python -m
// grpc_tools.protoc`) takes the same arguments.
package gokit

//go:generate protoc -I ../../../proto/conformance/v1 --go_out=. --go_opt=module=conformance.test/gokit --go-grpc_out=. --go-grpc_opt=module=conformance.test/gokit kit.proto
//go:generate protoc -I ../../../proto/greeter/v1 --go_out=. --go_opt=module=conformance.test/gokit --go-grpc_out=. --go-grpc_opt=module=conformance.test/gokit greeter.proto
//go:generate protoc -I ../../../proto/rpcplugin/v1 --go_out=. --go_opt=module=conformance.test/gokit --go_opt=Minstances.proto=conformance.test/gokit/instancespb --go-grpc_out=. --go-grpc_opt=module=conformance.test/gokit --go-grpc_opt=Minstances.proto=conformance.test/gokit/instancespb instances.proto
//go:generate protoc -I ../../../proto/rpcplugin/v1 --go_out=. --go_opt=module=conformance.test/gokit --go-grpc_out=. --go-grpc_opt=module=conformance.test/gokit metadata.proto
