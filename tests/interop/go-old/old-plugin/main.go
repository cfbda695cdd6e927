// Command old-plugin is built on go-plugin 1.4, which supports neither
// PLUGIN_UNIX_SOCKET_DIR nor multiplexing.
package main

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// old serves only the services of the library.
type old struct {
	plugin.NetRPCUnsupportedPlugin
}

func (old) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return nil
}

func (old) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (interface{}, error) {
	return nil, nil
}

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "OLD_PLUGIN",
			MagicCookieValue: "hello",
		},
		Plugins:    plugin.PluginSet{"old": old{}},
		GRPCServer: plugin.DefaultGRPCServer,
	})
}
