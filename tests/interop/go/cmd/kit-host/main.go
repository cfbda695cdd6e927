// Command kit-host is a conformance host built on go-plugin.
// It launches a plugin that serves conformance.v1.Kit and checks, holds,
// measures or reattaches to it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/hashicorp/go-plugin"
)

const usage = `usage:
  kit-host check    [FLAGS] [--broker] [--only NAME,NAME] [--skip NAME,NAME] -- PLUGIN [ARG...]
  kit-host hold     [FLAGS] -- PLUGIN [ARG...]
  kit-host bench    [FLAGS] [--calls N] [--in-flight N] [--payload BYTES] -- PLUGIN [ARG...]
  kit-host bench FIGURE [FLAGS] [--seconds N] [--in-flight N] [--payload BYTES] [--rounds N] [--plugins N] [--at-once N] -- PLUGIN [ARG...]
  kit-host reattach [FLAGS] [--calls] [--broker] [--kill] JSON
  kit-host certs    [--keys p256|p384|p521|rsa] DIR

flags: --auto-mtls, --mux, --tls-dir DIR, --verbose
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	commands := map[string]func([]string) error{
		"check":    runCheck,
		"hold":     runHold,
		"bench":    runBench,
		"reattach": runReattach,
		"certs":    runCerts,
	}
	command, ok := commands[os.Args[1]]
	if !ok {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	stopPluginsOnSignal()
	switch err := command(os.Args[2:]); {
	case err == nil:
	case errors.Is(err, errChecksFailed):
		os.Exit(1)
	default:
		fmt.Fprintf(os.Stderr, "kit-host: %v\n", err)
		os.Exit(1)
	}
}

// stopPluginsOnSignal stops all plugins on SIGINT or SIGTERM.
func stopPluginsOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		plugin.CleanupClients()
		os.Exit(130)
	}()
}

// pluginOptions are the settings to launch a plugin or to attach to one.
type pluginOptions struct {
	autoMTLS bool
	mux      bool
	tlsDir   string
	verbose  bool
	command  []string
	reattach *plugin.ReattachConfig
	counts   *counts // set for measurements
}

func (o *pluginOptions) register(flags *flag.FlagSet) {
	flags.BoolVar(&o.autoMTLS, "auto-mtls", false, "secure the connection with AutoMTLS")
	flags.BoolVar(&o.mux, "mux", false, "multiplex brokered connections over the main one")
	flags.StringVar(&o.tlsDir, "tls-dir", "", "speak TLS with DIR/ca.pem, DIR/host.pem and DIR/host.key")
	flags.BoolVar(&o.verbose, "verbose", false, "copy the host's log to stderr")
}

// parse reads the flags, and the command of the plugin after them.
func (o *pluginOptions) parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("no plugin command given; put it after --")
	}
	o.command = flags.Args()
	return nil
}

// nameSet splits a comma separated list.
func nameSet(list string) map[string]bool {
	names := map[string]bool{}
	for _, name := range strings.Split(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names[name] = true
		}
	}
	return names
}
