// Command aged-plugin serves some versions of its protocol by net/rpc and
// others by gRPC, as plugins do that are older than the library's gRPC
// (go-plugin's examples/negotiated, Terraform providers of the first SDK).
package main

import (
	"context"
	"flag"
	"fmt"
	"net/rpc"
	"os"

	"conformance.test/gokit/internal/kit"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// byNetRPC is dispensed only by net/rpc.
type byNetRPC struct{}

func (byNetRPC) Server(*plugin.MuxBroker) (any, error) {
	return struct{}{}, nil
}

func (byNetRPC) Client(*plugin.MuxBroker, *rpc.Client) (any, error) {
	return nil, nil
}

// byGRPC is dispensed only by gRPC, and serves only the services of the
// library.
type byGRPC struct {
	plugin.NetRPCUnsupportedPlugin
}

func (byGRPC) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return nil
}

func (byGRPC) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

func main() {
	netRPC := flag.String("net-rpc", "", "versions to serve by net/rpc, such as 1,2")
	gRPC := flag.String("grpc", "", "versions to serve by gRPC, such as 3")
	flag.Parse()

	sets := map[int]plugin.PluginSet{}
	for list, served := range map[*string]plugin.Plugin{netRPC: byNetRPC{}, gRPC: byGRPC{}} {
		if *list == "" {
			continue
		}
		versions, err := kit.ParseVersions(*list)
		if err != nil {
			fmt.Fprintf(os.Stderr, "aged-plugin: %v\n", err)
			os.Exit(1)
		}
		for _, version := range versions {
			sets[version] = plugin.PluginSet{"aged": served}
		}
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			MagicCookieKey:   "AGED_PLUGIN",
			MagicCookieValue: "hello",
		},
		VersionedPlugins: sets,
		GRPCServer:       plugin.DefaultGRPCServer,
	})
}
