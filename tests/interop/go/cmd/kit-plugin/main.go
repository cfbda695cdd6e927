// Command kit-plugin is a conformance plugin built on go-plugin. It serves
// conformance.v1.Kit; see kit.proto for the contract.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"syscall"

	"conformance.test/gokit/internal/kit"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

func main() {
	versionList := flag.String("versions", "1,2,3", "application protocol versions to serve")
	tlsDir := flag.String("tls-dir", "", "serve with DIR/ca.pem, DIR/plugin.pem and DIR/plugin.key and require client certificates")
	maxRecv := flag.Int("max-recv", math.MaxInt32, "largest request in `BYTES`")
	maxAge := flag.Duration("max-connection-age", 0, "end each connection with a GOAWAY after this `DURATION`; 0 for never")
	testMode := flag.Bool("test-mode", false, "serve without cookie and handshake line; print the reattach JSON on stdout")
	flag.Parse()

	versions, err := kit.ParseVersions(*versionList)
	if err != nil {
		fail(err)
	}

	// Serve replaces os.Stdout and os.Stderr with pipes. These two keep the
	// original descriptors of the process.
	realStdout, realStderr := os.Stdout, os.Stderr

	logger := hclog.New(&hclog.LoggerOptions{
		Name:       kit.Name,
		Level:      hclog.Trace,
		Output:     realStderr,
		JSONFormat: true,
	})
	counters := &counters{}

	config := &plugin.ServeConfig{
		HandshakeConfig:  kit.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{},
		Logger:           logger,
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			options = append(options,
				grpc.MaxRecvMsgSize(*maxRecv),
				grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: *maxAge}),
				grpc.UnaryInterceptor(counters.unary),
				grpc.StreamInterceptor(counters.stream),
			)
			return grpc.NewServer(options...)
		},
	}
	for _, version := range versions {
		config.VersionedPlugins[version] = plugin.PluginSet{
			kit.Name: &kitPlugin{version: version, logger: logger, rawStderr: realStderr, counters: counters},
		}
	}

	if *tlsDir != "" {
		// The files are read before Serve, which logs a bad file but exits
		// with status 0.
		tlsConfig, err := kit.LoadTLS(*tlsDir, "plugin")
		if err != nil {
			fail(err)
		}
		config.TLSProvider = func() (*tls.Config, error) { return tlsConfig, nil }
	}

	if *testMode {
		serveTest(config, realStdout)
		return
	}
	plugin.Serve(config)
}

// serveTest serves in test mode until SIGINT or SIGTERM, or until a host calls
// Shutdown.
func serveTest(config *plugin.ServeConfig, stdout *os.File) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	reattach := make(chan *plugin.ReattachConfig, 1)
	config.Test = &plugin.ServeTestConfig{
		Context:          ctx,
		ReattachConfigCh: reattach,
		SyncStdio:        true,
	}
	go func() {
		line, err := json.Marshal(kit.NewReattach(<-reattach))
		if err != nil {
			fail(err)
		}
		fmt.Fprintf(stdout, "%s\n", line)
	}()
	plugin.Serve(config)
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "kit-plugin: %v\n", err)
	os.Exit(1)
}
