package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"conformance.test/gokit/internal/kit"
	"conformance.test/gokit/kitpb"
	"google.golang.org/protobuf/encoding/protowire"
)

// measureOptions are the measurement and its size. Flags, results and method
// are those of the Rust host, kit-bench, so that the results can be compared.
type measureOptions struct {
	pluginOptions
	seconds  float64
	inFlight int
	payload  int
	rounds   int
	plugins  int
	atOnce   int
}

// results are the named numbers that one measurement prints.
type results map[string]float64

var measurements = map[string]func(*measureOptions) (results, error){
	"launch": measureLaunch,
	"unary":  withSession(measureUnary),
	"down":   withSession(measureDown),
	"up":     withSession(measureUp),
	"broker": withSession(measureBroker),
	"stdio":  withSession(measureStdio),
	"logs":   withSession(measureLogs),
	"idle":   withSession(measureIdle),
	"crowd":  measureCrowd,
}

// runMeasurement makes one measurement and prints it as one JSON line.
func runMeasurement(figure string, args []string) error {
	measurement, ok := measurements[figure]
	if !ok {
		return fmt.Errorf("unknown figure %q", figure)
	}
	flags := flag.NewFlagSet("bench "+figure, flag.ContinueOnError)
	options := &measureOptions{pluginOptions: pluginOptions{counts: newCounts()}}
	options.register(flags)
	flags.Float64Var(&options.seconds, "seconds", 2, "how long calls and streams are measured, or a plugin is left idle")
	flags.IntVar(&options.inFlight, "in-flight", 1, "calls at once")
	flags.IntVar(&options.payload, "payload", 64, "bytes of each call, message or write")
	flags.IntVar(&options.rounds, "rounds", 21, "how often a launch or a brokered connection is repeated; how many writes are made")
	flags.IntVar(&options.plugins, "plugins", 50, "plugins of a crowd")
	flags.IntVar(&options.atOnce, "at-once", 8, "plugins of a crowd that are launched at once")
	if err := options.parse(flags, args); err != nil {
		return err
	}
	if options.inFlight < 1 || options.rounds < 1 || options.plugins < 1 || options.atOnce < 1 || options.payload < 0 {
		return errors.New("--payload must be at least 0, the other numbers at least 1")
	}
	measured, err := measurement(options)
	if err != nil {
		return err
	}
	line, err := json.Marshal(measured)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", line)
	return nil
}

func (o *measureOptions) duration() time.Duration {
	return time.Duration(o.seconds * float64(time.Second))
}

// withSession launches a plugin for a measurement and stops it afterwards.
func withSession(measure func(*measureOptions, *session) (results, error)) func(*measureOptions) (results, error) {
	return func(options *measureOptions) (results, error) {
		s, err := openSession(&options.pluginOptions)
		if err != nil {
			return nil, err
		}
		measured, err := measure(options, s)
		return measured, errors.Join(err, s.end())
	}
}

// end stops the plugin and removes its files.
func (s *session) end() error {
	_, err := s.kill()
	s.removeSocket()
	return err
}

// measureLaunch launches and stops plugins, one after the other.
func measureLaunch(options *measureOptions) (results, error) {
	// The first launch reads the program from the disk.
	if _, _, err := launchAndStop(options); err != nil {
		return nil, err
	}
	var launches, stops []time.Duration
	before := cpuTime() + childrenCPU()
	for range options.rounds {
		launch, stop, err := launchAndStop(options)
		if err != nil {
			return nil, err
		}
		launches, stops = append(launches, launch), append(stops, stop)
	}
	spent := cpuTime() + childrenCPU() - before
	slices.Sort(launches)
	slices.Sort(stops)
	return results{
		"launch_ms":     millis(percentile(launches, 0.5)),
		"launch_p90_ms": millis(percentile(launches, 0.9)),
		"stop_ms":       millis(percentile(stops, 0.5)),
		"cpu_ms":        millis(spent) / float64(options.rounds),
	}, nil
}

func launchAndStop(options *measureOptions) (launch, stop time.Duration, err error) {
	start := time.Now()
	s, err := openSession(&options.pluginOptions)
	if err != nil {
		return 0, 0, err
	}
	launch = time.Since(start)
	stop, err = s.kill()
	s.removeSocket()
	return launch, stop, err
}

// measureUnary makes as many Echo calls as possible, inFlight at a time.
func measureUnary(options *measureOptions, s *session) (results, error) {
	data := kit.Pattern(uint32(options.payload), 0)
	// The first calls enlarge buffers and windows.
	if _, err := echoFor(options.duration()/8, s, options.inFlight, data); err != nil {
		return nil, err
	}
	before := s.spent()
	start := time.Now()
	took, err := echoFor(options.duration(), s, options.inFlight, data)
	elapsed := time.Since(start)
	if err != nil {
		return nil, err
	}
	spent := s.spentSince(before)
	slices.Sort(took)
	calls := float64(len(took))
	return results{
		"calls_per_s":          calls / elapsed.Seconds(),
		"p50_us":               micros(percentile(took, 0.50)),
		"p99_us":               micros(percentile(took, 0.99)),
		"cpu_us_per_call":      micros(spent.both) / calls,
		"host_cpu_us_per_call": micros(spent.host) / calls,
	}, nil
}

func echoFor(duration time.Duration, s *session, inFlight int, data []byte) ([]time.Duration, error) {
	end := time.Now().Add(duration)
	took := make([][]time.Duration, inFlight)
	failures := make([]error, inFlight)
	var group sync.WaitGroup
	for i := range inFlight {
		group.Go(func() { took[i], failures[i] = echoUntil(end, s, data) })
	}
	group.Wait()
	return slices.Concat(took...), errors.Join(failures...)
}

// echoUntil makes one call after the other and returns the duration of each.
func echoUntil(end time.Time, s *session, data []byte) ([]time.Duration, error) {
	took := make([]time.Duration, 0, 1024)
	ctx := context.Background()
	for start := time.Now(); start.Before(end); {
		answer, err := s.kit.Echo(ctx, &kitpb.EchoRequest{Data: data})
		if err != nil {
			return nil, err
		}
		if len(answer.Data) != len(data) {
			return nil, errors.New("the answer is not as long as the request")
		}
		done := time.Now()
		took = append(took, done.Sub(start))
		start = done
	}
	return took, nil
}

// measureDown reads a stream from the plugin, by Count.
func measureDown(options *measureOptions, s *session) (results, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := s.kit.Count(ctx, &kitpb.CountRequest{N: -1, PadBytes: uint32(options.payload)})
	if err != nil {
		return nil, err
	}
	read := func(duration time.Duration) (bytes int, err error) {
		for end := time.Now().Add(duration); time.Now().Before(end); {
			message, err := stream.Recv()
			if err != nil {
				return 0, err
			}
			bytes += len(message.Pad)
		}
		return bytes, nil
	}
	if _, err := read(options.duration() / 8); err != nil {
		return nil, err
	}
	before, start := s.spent(), time.Now()
	bytes, err := read(options.duration())
	return streamed(bytes, start, s.spentSince(before)), err
}

// measureUp sends a stream to the plugin, by Sum. The padding of its messages
// is an unknown field, which the reader skips: the kit has no stream to the
// plugin with messages of any size.
func measureUp(options *measureOptions, s *session) (results, error) {
	request := &kitpb.SumRequest{Value: 1}
	padding := protowire.AppendTag(nil, 2, protowire.BytesType)
	padding = protowire.AppendBytes(padding, kit.Pattern(uint32(options.payload), 0))
	request.ProtoReflect().SetUnknown(padding)
	send := func(duration time.Duration) (int, error) {
		stream, err := s.kit.Sum(context.Background())
		if err != nil {
			return 0, err
		}
		for end := time.Now().Add(duration); time.Now().Before(end); {
			if err := stream.Send(request); err != nil {
				return 0, err
			}
		}
		answer, err := stream.CloseAndRecv()
		if err != nil {
			return 0, err
		}
		return int(answer.Count) * options.payload, nil
	}
	if _, err := send(options.duration() / 8); err != nil {
		return nil, err
	}
	before, start := s.spent(), time.Now()
	bytes, err := send(options.duration())
	return streamed(bytes, start, s.spentSince(before)), err
}

func streamed(bytes int, start time.Time, spent spent) results {
	elapsed := time.Since(start)
	return results{
		"mb_per_s":       float64(bytes) / 1e6 / elapsed.Seconds(),
		"cpu_ns_per_kib": float64(spent.both.Nanoseconds()) / (float64(bytes) / 1024),
	}
}

// measureBroker times new connections from just before the dial to the first
// answer, dialled by the plugin and by the host.
func measureBroker(options *measureOptions, s *session) (results, error) {
	ctx := context.Background()
	var byPlugin, byHost []time.Duration
	for range options.rounds {
		answer, err := callback(ctx, s, &kitpb.CallbackRequest{Calls: 1})
		if err != nil {
			return nil, err
		}
		byPlugin = append(byPlugin, time.Duration(answer.FirstAnswerUs)*time.Microsecond)
		first, err := timeFirstGreeting(ctx, s)
		if err != nil {
			return nil, err
		}
		byHost = append(byHost, first)
	}
	slices.Sort(byPlugin)
	slices.Sort(byHost)
	return results{
		"plugin_dials_us": micros(percentile(byPlugin, 0.5)),
		"host_dials_us":   micros(percentile(byHost, 0.5)),
	}, nil
}

// measureStdio makes the plugin write to its stdout, payload bytes at a time.
func measureStdio(options *measureOptions, s *session) (results, error) {
	ctx := context.Background()
	stdout := options.counts.stdout
	request := &kitpb.WriteStdioRequest{Stdout: []byte(strings.Repeat(".", max(options.payload, 1)-1) + "\n")}
	// After the first, the stream is open.
	if _, err := s.kit.WriteStdio(ctx, request); err != nil {
		return nil, err
	}
	stdout.wait(len(request.Stdout))
	before, start := s.spent(), time.Now()
	for range options.rounds {
		if _, err := s.kit.WriteStdio(ctx, request); err != nil {
			return nil, err
		}
	}
	stdout.wait(len(request.Stdout) * (options.rounds + 1))
	return streamed(len(request.Stdout)*options.rounds, start, s.spentSince(before)), nil
}

// recordsAtOnce is the number of log records in one write.
const recordsAtOnce = 1000

// measureLogs makes the plugin write records to its original stderr, as its
// logger writes them.
func measureLogs(options *measureOptions, s *session) (results, error) {
	ctx := context.Background()
	records := options.counts.records
	request := &kitpb.WriteStdioRequest{RawStderr: logRecords()}
	logged := records.now()
	if _, err := s.kit.WriteStdio(ctx, request); err != nil {
		return nil, err
	}
	records.wait(logged + recordsAtOnce)
	logged = records.now()
	before, start := s.spent(), time.Now()
	for range options.rounds {
		if _, err := s.kit.WriteStdio(ctx, request); err != nil {
			return nil, err
		}
	}
	written := recordsAtOnce * options.rounds
	records.wait(logged + written)
	elapsed, spent := time.Since(start), s.spentSince(before)
	return results{
		"records_per_s":     float64(written) / elapsed.Seconds(),
		"cpu_us_per_record": micros(spent.both) / float64(written),
	}, nil
}

func logRecords() []byte {
	var lines strings.Builder
	for number := range recordsAtOnce {
		fmt.Fprintf(&lines, `{"@level":"info","@message":"a request was served","@module":"kit",`+
			`"@timestamp":"2026-01-02T03:04:05.678901Z","number":%d,"path":"/a/b","took":"1.5ms"}`+"\n", number)
	}
	return []byte(lines.String())
}

// measureIdle calls a plugin once and then leaves it idle.
func measureIdle(options *measureOptions, s *session) (results, error) {
	data := kit.Pattern(uint32(options.payload), 0)
	if _, err := s.kit.Echo(context.Background(), &kitpb.EchoRequest{Data: data}); err != nil {
		return nil, err
	}
	before, sleeps := s.spent(), sleepsOf(s.pid())
	time.Sleep(options.duration())
	spent := s.spentSince(before)
	sleeps = sleepsOf(s.pid()) - sleeps
	held := memoryOf(s.pid())
	return results{
		"plugin_rss_kib":       float64(held.rss),
		"plugin_pss_kib":       float64(held.pss),
		"plugin_anonymous_kib": float64(held.anonymous),
		"plugin_threads":       float64(threadsOf(s.pid())),
		"plugin_cpu_us_per_s":  micros(spent.both-spent.host) / options.seconds,
		"plugin_wakeups_per_s": float64(sleeps) / options.seconds,
		"host_rss_kib":         float64(memoryOf(os.Getpid()).rss),
		"host_cpu_us_per_s":    micros(spent.host) / options.seconds,
	}, nil
}

// measureCrowd launches many plugins, some of them at the same time, and keeps
// all until the last is ready.
func measureCrowd(options *measureOptions) (results, error) {
	// The first plugin pays for the shared state of the host.
	if _, _, err := launchAndStop(options); err != nil {
		return nil, err
	}
	own := os.Getpid()
	rss := memoryOf(own).rss
	threads, tasks := threadsOf(own), runtime.NumGoroutine()
	sessions := make([]*session, options.plugins)
	start := time.Now()
	err := eachOf(options, func(i int) (err error) {
		sessions[i], err = openSession(&options.pluginOptions)
		return err
	})
	ready := time.Since(start)
	measured := results{}
	if err == nil {
		each := func(sum float64) float64 { return sum / float64(options.plugins) }
		total := uint64(0)
		for _, s := range sessions {
			total += memoryOf(s.pid()).pss
		}
		measured = results{
			"ready_ms":                millis(ready),
			"ready_ms_per_plugin":     each(millis(ready)),
			"host_rss_kib_per_plugin": each(float64(memoryOf(own).rss) - float64(rss)),
			"host_peak_kib":           float64(peakOf(own)),
			"host_threads_per_plugin": each(float64(threadsOf(own)) - float64(threads)),
			"host_tasks_per_plugin":   each(float64(runtime.NumGoroutine() - tasks)),
			"plugin_pss_kib":          each(float64(total)),
		}
	}
	start = time.Now()
	all := *options
	all.atOnce = options.plugins
	stopErr := eachOf(&all, func(i int) error {
		if sessions[i] == nil {
			return nil
		}
		return sessions[i].end()
	})
	measured["stop_ms"] = millis(time.Since(start))
	return measured, errors.Join(err, stopErr)
}

// eachOf calls do for each plugin, atOnce at a time.
func eachOf(options *measureOptions, do func(i int) error) error {
	failures := make([]error, options.plugins)
	turns := make(chan struct{}, options.atOnce)
	var group sync.WaitGroup
	for i := range options.plugins {
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			failures[i] = do(i)
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

func percentile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(float64(len(sorted))*share), len(sorted)-1)]
}

func micros(duration time.Duration) float64 { return float64(duration.Nanoseconds()) / 1e3 }

func millis(duration time.Duration) float64 { return float64(duration.Nanoseconds()) / 1e6 }
