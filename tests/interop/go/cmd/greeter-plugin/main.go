// Command greeter-plugin is the Go plugin of the guide.
package main

import (
	"context"

	"conformance.test/gokit/greeterpb"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// greeter implements the service.
type greeter struct {
	greeterpb.UnimplementedGreeterServer
}

func (greeter) Greet(_ context.Context, request *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	return &greeterpb.GreetResponse{Greeting: "Hello from Go, " + request.Name + "!"}, nil
}

// greeterPlugin registers it on the server that go-plugin makes.
type greeterPlugin struct {
	plugin.NetRPCUnsupportedPlugin
}

func (greeterPlugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	greeterpb.RegisterGreeterServer(server, greeter{})
	return nil
}

func (greeterPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil // a plugin has no client
}

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "GREETER_PLUGIN",
			MagicCookieValue: "hello",
		},
		Plugins:    plugin.PluginSet{"greeter": greeterPlugin{}},
		GRPCServer: plugin.DefaultGRPCServer,
	})
}
