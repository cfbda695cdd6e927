// Command greeter-host is the Go host of the guide: it starts a greeter plugin,
// in any language, and calls it.
//
//	greeter-host PLUGIN [ARG...]
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"conformance.test/gokit/greeterpb"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// greeterPlugin makes a client of a connection. The host never serves.
type greeterPlugin struct {
	plugin.NetRPCUnsupportedPlugin
}

func (greeterPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return fmt.Errorf("this program is a host")
}

func (greeterPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return greeterpb.NewGreeterClient(conn), nil
}

func main() {
	if err := run(os.Args[1], os.Args[2:]...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(program string, arguments ...string) error {
	client := plugin.NewClient(&plugin.ClientConfig{
		// ProtocolVersion is the version of the greeter, not of go-plugin.
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "GREETER_PLUGIN",
			MagicCookieValue: "hello",
		},
		Plugins:          plugin.PluginSet{"greeter": greeterPlugin{}},
		Cmd:              exec.Command(program, arguments...),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		Logger:           hclog.New(&hclog.LoggerOptions{Name: "greeter-host", Level: hclog.Info}),
	})
	defer client.Kill()

	connection, err := client.Client()
	if err != nil {
		return err
	}
	// The name is the host's own word for it; it never reaches the plugin.
	raw, err := connection.Dispense("greeter")
	if err != nil {
		return err
	}
	greeter := raw.(greeterpb.GreeterClient)
	answer, err := greeter.Greet(context.Background(), &greeterpb.GreetRequest{Name: "Ada"})
	if err != nil {
		return err
	}
	fmt.Println(answer.Greeting)
	return nil
}
