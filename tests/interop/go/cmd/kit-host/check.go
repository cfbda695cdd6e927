package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sort"
	"strings"
	"time"
)

// checkLimit is the timeout of one check.
const checkLimit = 60 * time.Second

var errChecksFailed = errors.New("checks failed")

// check is one named thing that a plugin must do.
type check struct {
	name string
	run  func(context.Context, *checkRun) error
}

// skipped is the error of a check that does not apply here.
type skipped string

func (s skipped) Error() string { return string(s) }

// checkRun is the state of the checks: one plugin that they share, and the
// settings to launch more.
type checkRun struct {
	options  *pluginOptions
	shared   *session
	sessions []*session
	launch   error // why the plugin does not start
}

// session returns the shared plugin. It launches one for the first check, and
// again after a check that ended it.
func (r *checkRun) session() (*session, error) {
	if r.shared != nil && !r.shared.client.Exited() {
		return r.shared, nil
	}
	s, err := r.open()
	if err != nil {
		return nil, err
	}
	r.shared = s
	return s, nil
}

// open launches a new plugin for one check.
func (r *checkRun) open() (*session, error) {
	if r.launch != nil {
		return nil, r.launch
	}
	s, err := openSession(r.options)
	if err != nil {
		// Every later check would wait for the same failure.
		r.launch = fmt.Errorf("the plugin does not start: %w", err)
		return nil, r.launch
	}
	r.sessions = append(r.sessions, s)
	return s, nil
}

// close stops every plugin that is left, and removes their sockets: the checks
// of sockets have run.
func (r *checkRun) close() {
	for _, s := range r.sessions {
		_, _ = s.kill()
		s.removeSocket()
	}
}

func runCheck(args []string) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	options := &pluginOptions{}
	options.register(flags)
	broker := flags.Bool("broker", false, "check brokered connections too")
	only := flags.String("only", "", "run only these checks, brokered ones included")
	skip := flags.String("skip", "", "do not run these checks")
	if err := options.parse(flags, args); err != nil {
		return err
	}

	all := append(append([]check{}, callChecks...), outputChecks...)
	all = append(all, lifecycleChecks...)
	all = append(all, brokerChecks...)
	chosen := append(append(append([]check{}, callChecks...), outputChecks...), lifecycleChecks...)
	if *broker || *only != "" {
		chosen = all
	}

	onlyNames, skipNames := nameSet(*only), nameSet(*skip)
	if err := knownNames(all, onlyNames, skipNames); err != nil {
		return err
	}
	run := &checkRun{options: options}
	defer run.close()
	return runChecks(run, chosen, onlyNames, skipNames)
}

// knownNames refuses unknown names, because a misspelt name would silently
// check nothing.
func knownNames(all []check, sets ...map[string]bool) error {
	var names []string
	known := map[string]bool{}
	for _, c := range all {
		known[c.name] = true
		names = append(names, c.name)
	}
	sort.Strings(names)
	for _, set := range sets {
		for name := range set {
			if !known[name] {
				return fmt.Errorf("unknown check %q; the checks are: %s", name, strings.Join(names, ", "))
			}
		}
	}
	return nil
}

// runChecks runs the checks one after the other and prints a line for each.
func runChecks(r *checkRun, checks []check, only, skip map[string]bool) error {
	passed, failed := 0, 0
	for _, c := range checks {
		if len(only) > 0 && !only[c.name] {
			continue
		}
		if skip[c.name] {
			fmt.Printf("SKIP %s: asked to\n", c.name)
			continue
		}
		start := time.Now()
		err := runOne(r, c)
		var reason skipped
		switch {
		case err == nil:
			passed++
			fmt.Printf("PASS %s (%d ms)\n", c.name, time.Since(start).Milliseconds())
		case errors.As(err, &reason):
			fmt.Printf("SKIP %s: %s\n", c.name, reason)
		default:
			failed++
			fmt.Printf("FAIL %s: %s\n", c.name, strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if passed == 0 || failed > 0 {
		return errChecksFailed
	}
	return nil
}

// runOne runs a check with a timeout. A check that exceeds it is abandoned, and
// later checks get another plugin.
func runOne(r *checkRun, c check) error {
	ctx, cancel := context.WithTimeout(context.Background(), checkLimit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.run(ctx, r) }()
	select {
	case err := <-done:
		return err
	case <-time.After(checkLimit + 5*time.Second):
		if r.options.reattach == nil {
			r.shared = nil
		}
		return fmt.Errorf("not done after %v", checkLimit)
	}
}

// eventually waits until the condition holds.
func eventually(ctx context.Context, limit time.Duration, what string, condition func() (bool, error)) error {
	deadline := time.Now().Add(limit)
	for {
		ok, err := condition()
		if err != nil {
			return err
		}
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %s", limit, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}
