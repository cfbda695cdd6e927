package main

import (
	"errors"
	"flag"
	"slices"

	"conformance.test/gokit/internal/kit"
)

// runReattach attaches to a running plugin and checks it. Without --kill, the
// plugin continues to run.
func runReattach(args []string) error {
	flags := flag.NewFlagSet("reattach", flag.ContinueOnError)
	options := &pluginOptions{}
	options.register(flags)
	calls := flags.Bool("calls", false, "run all checks of calls, not only put-get")
	broker := flags.Bool("broker", false, "check brokered connections too")
	kill := flags.Bool("kill", false, "stop the plugin at the end (the library never stops one in test mode)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("give one reattach JSON object")
	}
	config, err := kit.ParseReattach(flags.Arg(0))
	if err != nil {
		return err
	}
	options.reattach = config

	// No checks of a launch: this host neither negotiated the version nor set
	// the environment.
	chosen := []check{{"put-get", onSession(checkPutGet)}}
	if *calls {
		chosen = slices.DeleteFunc(slices.Clone(callChecks), func(c check) bool {
			return c.name == "negotiated-version" || c.name == "env"
		})
	}
	chosen = append(chosen, check{"stdio", onSession(checkStdio)})
	if *broker {
		chosen = append(chosen, check{"open-sub", onSession(checkOpenSub)}, check{"callback", onSession(checkCallback)})
	}

	run := &checkRun{options: options}
	if *kill {
		defer run.close()
	}
	return runChecks(run, chosen, nil, nil)
}
