package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"conformance.test/gokit/internal/kit"
	"conformance.test/gokit/kitpb"
)

// brokeredRounds is how many brokered connections are timed; the median is
// reported.
const brokeredRounds = 21

// benchResult is the line that bench prints.
type benchResult struct {
	P50               int64   `json:"p50_us"`
	P99               int64   `json:"p99_us"`
	CallsPerSecond    float64 `json:"calls_per_s"`
	HostCPUPerCall    float64 `json:"host_cpu_us_per_call"`
	Launch            int64   `json:"launch_us"`
	BrokeredFirst     int64   `json:"brokered_first_answer_us"`
	HostBrokeredFirst int64   `json:"host_brokered_first_answer_us"`
	Stop              int64   `json:"stop_us"`
}

// runBench makes the measurement that is named first. Without a name, it times
// a launch, Echo calls, brokered connections and the shutdown.
func runBench(args []string) error {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return runMeasurement(args[0], args[1:])
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	options := &pluginOptions{}
	options.register(flags)
	calls := flags.Int("calls", 10_000, "how many Echo calls")
	inFlight := flags.Int("in-flight", 1, "how many calls at once")
	payload := flags.Int("payload", 100, "bytes each way")
	if err := options.parse(flags, args); err != nil {
		return err
	}
	if *calls < 1 || *inFlight < 1 || *payload < 0 {
		return errors.New("--calls and --in-flight must be at least 1, --payload at least 0")
	}

	start := time.Now()
	s, err := openSession(options)
	if err != nil {
		return err
	}
	result := benchResult{Launch: time.Since(start).Microseconds()}
	err = result.measure(s, *calls, *inFlight, *payload)
	stop, killErr := s.kill()
	s.removeSocket()
	if err := errors.Join(err, killErr); err != nil {
		return err
	}
	result.Stop = stop.Microseconds()
	line, err := json.Marshal(result)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", line)
	return nil
}

func (r *benchResult) measure(s *session, calls, inFlight, payload int) error {
	ctx := context.Background()
	data := kit.Pattern(uint32(payload), 0)

	// The first calls enlarge buffers and windows.
	if _, err := echoMany(ctx, s, min(calls, 500), inFlight, data); err != nil {
		return err
	}
	cpuBefore := cpuTime()
	start := time.Now()
	latencies, err := echoMany(ctx, s, calls, inFlight, data)
	took, cpu := time.Since(start), cpuTime()-cpuBefore
	if err != nil {
		return err
	}
	slices.Sort(latencies)
	r.P50 = latencies[len(latencies)/2].Microseconds()
	r.P99 = latencies[len(latencies)*99/100].Microseconds()
	r.CallsPerSecond = float64(calls) / took.Seconds()
	r.HostCPUPerCall = float64(cpu.Microseconds()) / float64(calls)

	var fromPlugin, fromHost []int64
	for range brokeredRounds {
		answer, err := callback(ctx, s, &kitpb.CallbackRequest{Calls: 1, Data: data})
		if err != nil {
			return err
		}
		fromPlugin = append(fromPlugin, answer.FirstAnswerUs)
		first, err := timeFirstGreeting(ctx, s)
		if err != nil {
			return err
		}
		fromHost = append(fromHost, first.Microseconds())
	}
	slices.Sort(fromPlugin)
	slices.Sort(fromHost)
	r.BrokeredFirst = fromPlugin[brokeredRounds/2]
	r.HostBrokeredFirst = fromHost[brokeredRounds/2]
	return nil
}

// echoMany makes the calls, inFlight at a time, and returns the duration of
// each.
func echoMany(ctx context.Context, s *session, calls, inFlight int, data []byte) ([]time.Duration, error) {
	latencies := make([]time.Duration, calls)
	var next atomic.Int64
	failures := make(chan error, inFlight)
	var group sync.WaitGroup
	for range inFlight {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(calls); i = next.Add(1) - 1 {
				start := time.Now()
				if _, err := s.kit.Echo(ctx, &kitpb.EchoRequest{Data: data}); err != nil {
					failures <- err
					return
				}
				latencies[i] = time.Since(start)
			}
		})
	}
	group.Wait()
	select {
	case err := <-failures:
		return nil, err
	default:
		return latencies, nil
	}
}

// timeFirstGreeting times a Sub of the plugin from just before the host
// dials it to its first answer.
func timeFirstGreeting(ctx context.Context, s *session) (time.Duration, error) {
	opened, err := s.kit.OpenSub(ctx, &kitpb.OpenSubRequest{Label: "bench"})
	if err != nil {
		return 0, err
	}
	start := time.Now()
	conn, err := s.broker.Dial(opened.BrokerId)
	if err != nil {
		return 0, err
	}
	sub := &brokeredSub{conn: conn, client: kitpb.NewSubClient(conn)}
	if _, err := sub.client.Greet(ctx, &kitpb.GreetRequest{Name: "bench"}); err != nil {
		_ = conn.Close()
		return 0, err
	}
	took := time.Since(start)
	return took, sub.close(ctx)
}
