package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"conformance.test/gokit/internal/kit"
	"conformance.test/gokit/kitpb"
	"github.com/hashicorp/go-hclog"
)

// outputChecks are about the output and the log of a plugin.
var outputChecks = []check{
	{"stdio", onSession(checkStdio)},
	{"log-line", onSession(checkLogLine)},
}

// rawStderrLine is a line that no logger makes.
const rawStderrLine = "kit-host asked for this line"

func checkStdio(ctx context.Context, s *session) error {
	// Only the host that launched a plugin reads its original stderr. Once
	// that host is gone, a line may end the plugin (SIGPIPE).
	readsRaw := s.options.reattach == nil

	// Some rounds are longer than the buffer of a pipe or of a stdio message,
	// end without a newline, or are empty on one stream.
	for i, round := range []struct{ stdout, stderr []byte }{
		{[]byte("out\nand no newline"), []byte("err\r\n")},
		{kit.Pattern(200_000, 1), kit.Pattern(150_000, 2)},
		{nil, []byte{0, 0xff, 0xfe}},
		{[]byte{'x'}, nil},
	} {
		stdoutFrom, stderrFrom := s.stdout.len(), s.stderr.len()
		var raw []byte
		if readsRaw {
			raw = fmt.Appendf(nil, "%s (%s)\n", rawStderrLine, unique("round"))
		}
		if _, err := s.kit.WriteStdio(ctx, &kitpb.WriteStdioRequest{
			Stdout:    round.stdout,
			Stderr:    round.stderr,
			RawStderr: raw,
		}); err != nil {
			return err
		}
		what := fmt.Sprintf("round %d: %d bytes of stdout and %d of stderr arrive", i, len(round.stdout), len(round.stderr))
		if err := eventually(ctx, 10*time.Second, what, func() (bool, error) {
			return s.stdout.len()-stdoutFrom >= len(round.stdout) && s.stderr.len()-stderrFrom >= len(round.stderr), nil
		}); err != nil {
			return fmt.Errorf("%w (got %d and %d)", err, s.stdout.len()-stdoutFrom, s.stderr.len()-stderrFrom)
		}
		if got := s.stdout.bytes(stdoutFrom); !bytes.Equal(got, round.stdout) {
			return fmt.Errorf("round %d: SyncStdout got other bytes (%d of %d): %.60q", i, len(got), len(round.stdout), got)
		}
		if got := s.stderr.bytes(stderrFrom); !bytes.Equal(got, round.stderr) {
			return fmt.Errorf("round %d: SyncStderr got other bytes (%d of %d): %.60q", i, len(got), len(round.stderr), got)
		}
		what = fmt.Sprintf("round %d: the raw stderr line arrives", i)
		if err := eventually(ctx, 5*time.Second, what, func() (bool, error) {
			return bytes.Contains(s.rawStderr.bytes(0), raw), nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func checkLogLine(ctx context.Context, s *session) error {
	for _, level := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn, hclog.Error} {
		message := unique("log line at " + level.String())
		if _, err := s.kit.LogLine(ctx, &kitpb.LogLineRequest{
			Level:   level.String(),
			Message: message,
			Module:  "kit.log-line",
			Fields: []*kitpb.LogField{
				{Key: "text", Value: &kitpb.LogField_Text{Text: "quoted \"text\"\nключ"}},
				{Key: "number", Value: &kitpb.LogField_Number{Number: -42}},
				{Key: "flag", Value: &kitpb.LogField_Flag{Flag: true}},
				{Key: "real", Value: &kitpb.LogField_Real{Real: 2.5}},
			},
		}); err != nil {
			return err
		}
		entry, err := waitForEntry(ctx, s, message)
		if err != nil {
			return err
		}
		if entry.level != level {
			return fmt.Errorf("the entry has level %v, not %v", entry.level, level)
		}
		for key, want := range map[string]any{
			"@module": "kit.log-line",
			"text":    "quoted \"text\"\nключ",
			"number":  float64(-42), // JSON has only this kind of number
			"flag":    true,
			"real":    2.5,
		} {
			if got := entry.fields[key]; got != want {
				return fmt.Errorf("at %v, field %s is %#v, not %#v", level, key, got, want)
			}
		}
		text, _ := entry.fields["timestamp"].(string)
		stamp, err := time.Parse(hclog.TimeFormat, text)
		if err != nil {
			return fmt.Errorf("the timestamp: %w", err)
		}
		if age := time.Since(stamp).Abs(); age > time.Minute {
			return fmt.Errorf("the timestamp %s is %v off", text, age)
		}
	}

	message := unique("log line without a module")
	if _, err := s.kit.LogLine(ctx, &kitpb.LogLineRequest{Level: "info", Message: message}); err != nil {
		return err
	}
	_, err := waitForEntry(ctx, s, message)
	return err
}

func waitForEntry(ctx context.Context, s *session, message string) (*logEntry, error) {
	var entry *logEntry
	err := eventually(ctx, 5*time.Second, fmt.Sprintf("an entry %q is in the host's log", message), func() (bool, error) {
		entry = s.log.find(message)
		return entry != nil, nil
	})
	return entry, err
}
