package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"conformance.test/gokit/internal/kit"
)

// runHold keeps a plugin running until stdin ends. Tests kill it to see the
// effect on the plugin.
func runHold(args []string) error {
	flags := flag.NewFlagSet("hold", flag.ContinueOnError)
	options := &pluginOptions{}
	options.register(flags)
	if err := options.parse(flags, args); err != nil {
		return err
	}
	s, err := openSession(options)
	if err != nil {
		return err
	}
	addr := s.client.ReattachConfig().Addr
	config := *s.client.ReattachConfig()
	config.ProtocolVersion = s.client.NegotiatedVersion()
	line, err := json.Marshal(map[string]any{
		"pid":      s.pid(),
		"network":  addr.Network(),
		"addr":     addr.String(),
		"version":  s.client.NegotiatedVersion(),
		"reattach": kit.NewReattach(&config),
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", line)
	// The plugin inherits this stdin and does not read it.
	_, _ = io.Copy(io.Discard, os.Stdin)
	_, err = s.kill()
	return err
}
