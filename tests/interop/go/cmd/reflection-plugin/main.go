// Command reflection-plugin is a plugin to test reflection.
//
// Without arguments it serves messages of protobuf edition 2023 and of proto2
// with extensions, by the reflection of grpc-go, and reads and writes them as
// protobuf-go does.
//
// With --answers FILE, its reflection answers with the bytes in FILE, valid or
// not, and each method answers with its request or with bytes of FILE.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"conformance.test/gokit/internal/kit"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

func main() {
	path := flag.String("answers", "", "answer with what is in `FILE`")
	flag.Parse()

	config := &plugin.ServeConfig{
		HandshakeConfig: kit.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{
			1: {kit.Name: &kitless{}},
		},
	}
	var err error
	if *path == "" {
		config.VersionedPlugins[1][kit.Name], err = newTyped()
		config.GRPCServer = plugin.DefaultGRPCServer
	} else {
		var answers *answers
		if answers, err = read(*path); err == nil {
			config.GRPCServer = answers.server
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "reflection-plugin: %v\n", err)
		os.Exit(1)
	}
	plugin.Serve(config)
}

func read(path string) (*answers, error) {
	bytes, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	read := &answers{}
	return read, json.Unmarshal(bytes, read)
}

// kitless serves no services of its own.
type kitless struct {
	plugin.NetRPCUnsupportedPlugin
	noClient
}

func (*kitless) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }
