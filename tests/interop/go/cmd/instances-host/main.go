// Command instances-host is a host of go-plugin that creates instances in a
// plugin of rpcplugin, calls them, and prints what it finds.
//
//	instances-host PLUGIN
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"
	"sync"
	"time"

	"conformance.test/gokit/instancespb"
	"conformance.test/gokit/kitpb"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// key is the metadata that names the instance of a call.
const key = "rpcplugin-instance"

// anyPlugin hands out the connection. The host never serves.
type anyPlugin struct {
	plugin.NetRPCUnsupportedPlugin
}

func (anyPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return fmt.Errorf("this program is a host")
}

func (anyPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// log is what the host's logger writes.
type log struct {
	mutex sync.Mutex
	lines bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.lines.Write(p)
}

// records returns a line for each record with this message, in order.
func (l *log) records(message string) []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var found []string
	for _, line := range strings.Split(l.lines.String(), "\n") {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) == nil && record["@message"] == message {
			found = append(found, fmt.Sprintf("record of %v: %v", record["instance"], message))
		}
	}
	sort.Strings(found)
	return found
}

func main() {
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(program string, out io.Writer) error {
	written := &log{}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "INSTANCES_PLUGIN",
			MagicCookieValue: "yes",
		},
		Plugins:          plugin.PluginSet{"any": anyPlugin{}},
		Cmd:              exec.Command(program),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: written, JSONFormat: true}),
	})
	defer client.Kill()
	connection, err := client.Client()
	if err != nil {
		return err
	}
	raw, err := connection.Dispense("any")
	if err != nil {
		return err
	}
	conn := raw.(*grpc.ClientConn)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	instances := instancespb.NewInstancesClient(conn)
	sub := kitpb.NewSubClient(conn)

	create := func(id, greeting string) error {
		_, err := instances.Create(ctx, &instancespb.CreateInstanceRequest{
			Id:            id,
			Configuration: []byte(fmt.Sprintf(`{"greeting": %q}`, greeting)),
			ContentType:   "application/json",
		})
		return err
	}
	greet := func(id string) (string, error) {
		answer, err := sub.Greet(metadata.AppendToOutgoingContext(ctx, key, id), &kitpb.GreetRequest{Name: "Grace"})
		return answer.GetText(), err
	}
	people := map[string]string{"people/ada": "Hello", "people/blaise": "Bonjour"}
	for _, id := range []string{"people/ada", "people/blaise"} {
		if err := create(id, people[id]); err != nil {
			return err
		}
	}
	for _, id := range []string{"people/ada", "people/blaise"} {
		answer, err := greet(id)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s\n", id, answer)
	}
	list, err := instances.List(ctx, &instancespb.ListInstancesRequest{})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "instances: %v\n", list.Ids)
	fmt.Fprintf(out, "twice: %v\n", status.Code(create("people/ada", "Hi")))
	fmt.Fprintf(out, "bad id: %v\n", status.Code(create("people\n", "Hi")))
	_, err = sub.Greet(ctx, &kitpb.GreetRequest{Name: "Grace"})
	fmt.Fprintf(out, "without an instance: %v\n", status.Code(err))
	removed, err := instances.Remove(ctx, &instancespb.RemoveInstanceRequest{Id: "people/ada"})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "removed people/ada, in use: %v\n", removed.InUse)
	_, err = greet("people/ada")
	fmt.Fprintf(out, "after the removal: %v\n", status.Code(err))

	// The records arrive in their own time.
	records := written.records("info Grace")
	for len(records) < len(people) && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
		records = written.records("info Grace")
	}
	fmt.Fprintln(out, strings.Join(records, "\n"))
	return ctx.Err()
}
