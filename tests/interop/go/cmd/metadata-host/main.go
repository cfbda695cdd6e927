// Command metadata-host starts a plugin in any language, prints its metadata,
// and stops it.
//
//	metadata-host PLUGIN [ARG...]
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"conformance.test/gokit/metadatapb"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// metadataPlugin makes a client of a connection. The host never serves.
type metadataPlugin struct {
	plugin.NetRPCUnsupportedPlugin
}

func (metadataPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return fmt.Errorf("this program is a host")
}

func (metadataPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return metadatapb.NewPluginMetadataClient(conn), nil
}

func main() {
	if err := run(os.Args[1], os.Args[2:]...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(program string, arguments ...string) error {
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "METADATA_PLUGIN",
			MagicCookieValue: "hello",
		},
		Plugins:          plugin.PluginSet{"metadata": metadataPlugin{}},
		Cmd:              exec.Command(program, arguments...),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		Logger:           hclog.New(&hclog.LoggerOptions{Name: "metadata-host", Level: hclog.Warn}),
	})
	defer client.Kill()

	connection, err := client.Client()
	if err != nil {
		return err
	}
	raw, err := connection.Dispense("metadata")
	if err != nil {
		return err
	}
	metadata, err := raw.(metadatapb.PluginMetadataClient).GetMetadata(
		context.Background(), &metadatapb.GetMetadataRequest{})
	if err != nil {
		return err
	}
	fmt.Println(metadata.Name, metadata.Version, metadata.Capabilities, metadata.Build, metadata.GetMinimumHostVersion())
	return nil
}
