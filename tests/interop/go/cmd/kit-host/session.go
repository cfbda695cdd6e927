package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"time"

	"conformance.test/gokit/internal/kit"
	"conformance.test/gokit/kitpb"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// hostVariable is set for every plugin. The env check reads it, because only
// the host can have set it.
const hostVariable, hostValue = "KIT_HOST_VARIABLE", "set by kit-host"

// session is one plugin, and everything that it sent to the host.
type session struct {
	options *pluginOptions
	client  *plugin.Client
	cmd     *exec.Cmd // nil after a reattach
	conn    *grpc.ClientConn
	broker  *plugin.GRPCBroker
	kit     kitpb.KitClient

	stdout, stderr *outputBuffer // what GRPCStdio delivered
	rawStderr      *outputBuffer
	log            *logRecorder
}

// openSession launches a plugin, or attaches to a running one, and returns
// once it has answered a ping.
func openSession(options *pluginOptions) (*session, error) {
	s := &session{
		options:   options,
		stdout:    &outputBuffer{},
		stderr:    &outputBuffer{},
		rawStderr: &outputBuffer{},
		log:       &logRecorder{},
	}
	output := io.Discard
	if options.verbose {
		output = os.Stderr
	}
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "kit-host", Level: hclog.Trace, Output: output})
	logger.RegisterSink(s.log)

	config := &plugin.ClientConfig{
		HandshakeConfig:     kit.Handshake,
		AllowedProtocols:    []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:            options.autoMTLS,
		GRPCBrokerMultiplex: options.mux,
		Managed:             true,
		Logger:              logger,
		Stderr:              s.rawStderr,
		SyncStdout:          s.stdout,
		SyncStderr:          s.stderr,
	}
	if options.counts != nil {
		config.Logger = options.counts.logger()
		config.Stderr, config.SyncStderr, config.SyncStdout = nil, nil, options.counts.stdout
	}
	if options.tlsDir != "" {
		tlsConfig, err := kit.LoadTLS(options.tlsDir, "host")
		if err != nil {
			return nil, err
		}
		config.TLSConfig = tlsConfig
	}
	set := plugin.PluginSet{kit.Name: hostPlugin{}}
	if options.reattach != nil {
		config.Reattach = options.reattach
		config.Plugins = set
	} else {
		s.cmd = exec.Command(options.command[0], options.command[1:]...)
		s.cmd.Env = []string{hostVariable + "=" + hostValue}
		config.Cmd = s.cmd
		config.VersionedPlugins = map[int]plugin.PluginSet{}
		for _, version := range kit.Versions {
			config.VersionedPlugins[version] = set
		}
	}

	s.client = plugin.NewClient(config)
	if err := s.connect(); err != nil {
		s.client.Kill()
		return nil, err
	}
	return s, nil
}

func (s *session) connect() error {
	protocol, err := s.client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense(kit.Name)
	if err != nil {
		return err
	}
	dispensed := raw.(dispensedKit)
	s.conn, s.broker = dispensed.conn, dispensed.broker
	s.kit = kitpb.NewKitClient(s.conn)
	return protocol.Ping()
}

func (s *session) ping() error {
	protocol, err := s.client.Client()
	if err != nil {
		return err
	}
	return protocol.Ping()
}

// pid is the process id of a plugin that this host launched.
func (s *session) pid() int { return s.cmd.Process.Pid }

// kill stops the plugin and returns the duration. Kill of the library has no
// timeout, so a plugin that delays it is killed with SIGKILL.
func (s *session) kill() (time.Duration, error) {
	const limit = 15 * time.Second
	start := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.client.Kill()
	}()
	select {
	case <-done:
		return time.Since(start), nil
	case <-time.After(limit):
		if s.cmd != nil {
			_ = s.cmd.Process.Kill()
		}
		return time.Since(start), fmt.Errorf("Kill had not returned after %v", limit)
	}
}

// removeSocket removes the socket file that a plugin may have left.
func (s *session) removeSocket() {
	if config := s.client.ReattachConfig(); config != nil && config.Addr.Network() == "unix" {
		_ = os.Remove(config.Addr.String())
	}
}

// hostPlugin is the host's side of the plugin set. It returns the connection
// and the broker.
type hostPlugin struct{}

type dispensedKit struct {
	conn   *grpc.ClientConn
	broker *plugin.GRPCBroker
}

func (hostPlugin) GRPCClient(_ context.Context, broker *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return dispensedKit{conn: conn, broker: broker}, nil
}

func (hostPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("kit-host only calls")
}

func (hostPlugin) Server(*plugin.MuxBroker) (any, error) {
	return nil, errors.New("kit-host speaks gRPC only")
}

func (hostPlugin) Client(*plugin.MuxBroker, *rpc.Client) (any, error) {
	return nil, errors.New("kit-host speaks gRPC only")
}
