package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"conformance.test/gokit/kitpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// lifecycleChecks launch plugins of their own.
var lifecycleChecks = []check{
	{"stop", checkStop},
	{"stop-socket-gone", checkStopSocketGone},
	{"second-launch", checkSecondLaunch},
	{"exit", checkExit},
	{"panic", checkPanic},
}

func checkStop(ctx context.Context, r *checkRun) error {
	s, err := r.open()
	if err != nil {
		return err
	}
	if err := checkPutGet(ctx, s); err != nil {
		return err
	}
	return wantCleanStop(s)
}

func checkStopSocketGone(ctx context.Context, r *checkRun) error {
	s, err := r.open()
	if err != nil {
		return err
	}
	info, err := s.kit.Info(ctx, &kitpb.InfoRequest{})
	if err != nil {
		return err
	}
	addr := s.client.ReattachConfig().Addr
	if _, err := s.kill(); err != nil {
		return err
	}
	if addr.Network() != "unix" {
		return skipped("the plugin listens on " + addr.Network())
	}
	_, err = os.Lstat(addr.String())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case r.options.mux && strings.Contains(info.Implementation, "hashicorp/go-plugin"):
		// go-plugin never closes the listener that its muxer wraps.
		_ = os.Remove(addr.String())
		return skipped("go-plugin leaves its socket when it multiplexes")
	default:
		return fmt.Errorf("%s still exists", addr)
	}
}

func checkSecondLaunch(ctx context.Context, r *checkRun) error {
	first, err := r.session()
	if err != nil {
		return err
	}
	second, err := r.open()
	if err != nil {
		return err
	}
	if first.pid() == second.pid() {
		return fmt.Errorf("both launches gave process %d", first.pid())
	}
	key := unique("second-launch")
	if _, err := first.kit.Put(ctx, &kitpb.PutRequest{Key: key, Value: []byte("first")}); err != nil {
		return err
	}
	if _, err := second.kit.Get(ctx, &kitpb.GetRequest{Key: key}); err == nil {
		return errors.New("the second plugin has the value of the first")
	}
	if err := wantCleanStop(second); err != nil {
		return err
	}
	answer, err := first.kit.Get(ctx, &kitpb.GetRequest{Key: key})
	if err != nil {
		return fmt.Errorf("the first plugin after the second one stopped: %w", err)
	}
	if string(answer.Value) != "first" {
		return fmt.Errorf("the first plugin now answers %q", answer.Value)
	}
	third, err := r.open()
	if err != nil {
		return err
	}
	if err := checkPutGet(ctx, third); err != nil {
		return err
	}
	return wantCleanStop(third)
}

func checkExit(ctx context.Context, r *checkRun) error {
	s, err := r.open()
	if err != nil {
		return err
	}
	_, err = s.kit.Exit(ctx, &kitpb.ExitRequest{Code: 7})
	if err := wantDeath(ctx, s, err); err != nil {
		return err
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 7 {
		return fmt.Errorf("the process ended with %v, not exit status 7", s.cmd.ProcessState)
	}
	return nil
}

func checkPanic(ctx context.Context, r *checkRun) error {
	s, err := r.open()
	if err != nil {
		return err
	}
	message := unique("the host asked for this panic")
	_, err = s.kit.Panic(ctx, &kitpb.PanicRequest{Message: message})
	if err := wantDeath(ctx, s, err); err != nil {
		return err
	}
	if s.cmd.ProcessState.Success() {
		return errors.New("the process ended with status 0")
	}
	if stderr := s.rawStderr.bytes(0); !bytes.Contains(stderr, []byte(message)) {
		return fmt.Errorf("the message is not on stderr, which ends with %q", tail(stderr, 300))
	}
	return nil
}

// wantDeath checks that a call which ends the plugin has no answer, and waits
// until the process is gone.
func wantDeath(ctx context.Context, s *session, callErr error) error {
	if code := status.Code(callErr); code != codes.Unavailable {
		return fmt.Errorf("the call ended with %v, not Unavailable: %v", code, callErr)
	}
	return eventually(ctx, 5*time.Second, "the host notices the end of the process", func() (bool, error) {
		return s.client.Exited(), nil
	})
}

// wantCleanStop stops the plugin and checks that it ended by itself and left
// no process behind.
func wantCleanStop(s *session) error {
	pid := s.pid()
	family := append(descendants(pid), pid)
	took, err := s.kill()
	if err != nil {
		return err
	}
	if s.log.find("plugin failed to exit gracefully") != nil {
		return fmt.Errorf("the plugin failed to exit gracefully (Kill took %v)", took)
	}
	if took >= time.Second {
		return fmt.Errorf("Kill took %v", took)
	}
	if !s.client.Exited() {
		return errors.New("Exited is false after Kill")
	}
	state := s.cmd.ProcessState
	if state == nil {
		return errors.New("the process was not reaped")
	}
	if !state.Success() {
		return fmt.Errorf("the plugin ended with %v; its stderr ends with %q", state, tail(s.rawStderr.bytes(0), 300))
	}
	for _, process := range family {
		if running(process) {
			return fmt.Errorf("process %d of the plugin still exists", process)
		}
	}
	return nil
}

func tail(data []byte, n int) []byte {
	return data[max(0, len(data)-n):]
}

// descendants lists the running children of a process, and their children.
func descendants(pid int) []int {
	var found []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		list, err := os.ReadFile(task)
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(list)) {
			if child, err := strconv.Atoi(field); err == nil {
				found = append(append(found, child), descendants(child)...)
			}
		}
	}
	return found
}

// running reports whether a process exists and is not a zombie.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The state follows the command name, which is in parentheses and may contain anything.
	after := stat[bytes.LastIndexByte(stat, ')')+1:]
	return !bytes.HasPrefix(bytes.TrimSpace(after), []byte("Z"))
}
