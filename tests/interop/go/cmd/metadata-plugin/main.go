// Command metadata-plugin is a Go plugin that reports metadata, over the
// service of proto/rpcplugin/v1/metadata.proto, and has the same metadata in
// its file. docs/metadata.md describes both.
//
//	metadata-plugin [VERSION]
//
// With VERSION it reports this text as its version, valid or not.
package main

import (
	"context"
	"os"
	"runtime"
	"strings"

	"conformance.test/gokit/metadatapb"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// block is what hosts find in the file of this program.
var block = `<rpcplugin-metadata 1>
name=go-weather
version=1.2.0
capability=alerts
capability=forecast.hourly
minimum-host-version=2.0.0
build.compiler=gc
</rpcplugin-metadata>`

// service answers with what the block says.
type service struct {
	metadatapb.UnimplementedPluginMetadataServer
}

func (service) GetMetadata(context.Context, *metadatapb.GetMetadataRequest) (*metadatapb.GetMetadataResponse, error) {
	answer := &metadatapb.GetMetadataResponse{Build: map[string]string{}}
	for _, line := range strings.Split(block, "\n") {
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "name":
			answer.Name = value
		case "version":
			answer.Version = value
		case "capability":
			answer.Capabilities = append(answer.Capabilities, value)
		case "minimum-host-version":
			answer.MinimumHostVersion = &value
		case "build.compiler":
			answer.Build["compiler"] = value
		}
	}
	if len(os.Args) > 1 {
		answer.Version = os.Args[1]
	}
	return answer, nil
}

// metadataPlugin registers the service on the server that go-plugin makes.
type metadataPlugin struct {
	plugin.NetRPCUnsupportedPlugin
}

func (metadataPlugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	metadatapb.RegisterPluginMetadataServer(server, service{})
	return nil
}

func (metadataPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil // a plugin has no client
}

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "METADATA_PLUGIN",
			MagicCookieValue: "hello",
		},
		Plugins:    plugin.PluginSet{"metadata": metadataPlugin{}},
		GRPCServer: plugin.DefaultGRPCServer,
	})
	runtime.KeepAlive(block)
}
