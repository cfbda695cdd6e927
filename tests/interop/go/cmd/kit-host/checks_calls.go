package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"conformance.test/gokit/internal/kit"
	"conformance.test/gokit/kitpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalphapb "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
)

// callChecks are about calls on the main connection.
var callChecks = []check{
	{"negotiated-version", checkNegotiatedVersion},
	{"ping", onSession(checkPing)},
	{"put-get", onSession(checkPutGet)},
	{"missing-key", onSession(checkMissingKey)},
	{"put-replaced", onSession(checkPutReplaced)},
	{"echo-metadata", onSession(checkEchoMetadata)},
	{"server-stream", onSession(checkServerStream)},
	{"server-stream-cancel", onSession(checkServerStreamCancel)},
	{"client-stream", onSession(checkClientStream)},
	{"bidi", onSession(checkBidi)},
	{"fail-details", onSession(checkFailDetails)},
	{"big-16mib", onSession(checkBig)},
	{"calls-200", onSession(checkManyCalls)},
	{"deadline", onSession(checkDeadline)},
	{"env", onSession(checkEnv)},
	{"reflection", onSession(checkReflection)},
	{"health-unknown", onSession(checkHealth)},
	{"unauthorized-clients-refused", onSession(checkUnauthorizedClientsRefused)},
}

// onSession makes a check of something that works on the shared plugin.
func onSession(run func(context.Context, *session) error) func(context.Context, *checkRun) error {
	return func(ctx context.Context, r *checkRun) error {
		s, err := r.session()
		if err != nil {
			return err
		}
		return run(ctx, s)
	}
}

func checkNegotiatedVersion(ctx context.Context, r *checkRun) error {
	s, err := r.session()
	if err != nil {
		return err
	}
	info, err := s.kit.Info(ctx, &kitpb.InfoRequest{})
	if err != nil {
		return err
	}
	want := slices.Max(kit.Versions)
	if got := s.client.NegotiatedVersion(); got != want {
		return fmt.Errorf("the host negotiated version %d, not %d", got, want)
	}
	if info.ProtocolVersion != int32(want) {
		return fmt.Errorf("the plugin reports version %d, not %d", info.ProtocolVersion, want)
	}
	return nil
}

func checkPing(_ context.Context, s *session) error {
	for range 3 {
		if err := s.ping(); err != nil {
			return err
		}
	}
	return nil
}

func checkPutGet(ctx context.Context, s *session) error {
	for key, value := range map[string][]byte{
		"put-get":                   []byte("value"),
		"put-get-binary-ключ":       {0, 1, 0xff, 0xfe, '\n', '|'},
		strings.Repeat("long", 500): bytes.Repeat([]byte{7}, 100_000),
	} {
		if _, err := s.kit.Put(ctx, &kitpb.PutRequest{Key: key, Value: value}); err != nil {
			return err
		}
		answer, err := s.kit.Get(ctx, &kitpb.GetRequest{Key: key})
		if err != nil {
			return err
		}
		if !bytes.Equal(answer.Value, value) {
			return fmt.Errorf("key %.20q: got %d bytes that are not the %d that were put", key, len(answer.Value), len(value))
		}
	}
	return nil
}

func checkMissingKey(ctx context.Context, s *session) error {
	const key = "a missing key: ключ 100%"
	_, err := s.kit.Get(ctx, &kitpb.GetRequest{Key: key})
	return wantStatus(err, codes.NotFound, "no such key: "+key)
}

func checkPutReplaced(ctx context.Context, s *session) error {
	key := unique("replaced")
	for _, want := range []bool{false, true, true} {
		answer, err := s.kit.Put(ctx, &kitpb.PutRequest{Key: key, Value: []byte("v")})
		if err != nil {
			return err
		}
		if answer.Replaced != want {
			return fmt.Errorf("replaced is %v, not %v", answer.Replaced, want)
		}
	}
	return nil
}

func checkEchoMetadata(ctx context.Context, s *session) error {
	binary := string([]byte{0, 1, 2, 0xff, 0xfe, ',', '='})
	ctx = metadata.AppendToOutgoingContext(ctx,
		"x-kit-word", "hello there",
		"x-kit-many", "first",
		"x-kit-many", "second",
		"x-kit-blob-bin", binary,
		"x-other", "not echoed",
	)
	var header, trailer metadata.MD
	answer, err := s.kit.Echo(ctx, &kitpb.EchoRequest{Data: []byte("payload")}, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return err
	}
	if string(answer.Data) != "payload" {
		return fmt.Errorf("echoed %q", answer.Data)
	}
	for _, want := range []struct {
		key    string
		values []string
	}{
		{"word", []string{"hello there"}},
		{"many", []string{"first", "second"}},
		{"blob-bin", []string{binary}},
	} {
		if got := header.Get("x-kit-" + want.key); !slices.Equal(got, want.values) {
			return fmt.Errorf("header x-kit-%s is %q, not %q", want.key, got, want.values)
		}
		if got := trailer.Get("x-kit-trailer-" + want.key); !slices.Equal(got, want.values) {
			return fmt.Errorf("trailer x-kit-trailer-%s is %q, not %q", want.key, got, want.values)
		}
	}
	if len(header.Get("x-other"))+len(trailer.Get("x-kit-trailer-x-other")) > 0 {
		return errors.New("x-other was returned, though it does not start with x-kit-")
	}
	return nil
}

func checkServerStream(ctx context.Context, s *session) error {
	const from, n, pad = -3, 1000, 300
	stream, err := s.kit.Count(ctx, &kitpb.CountRequest{From: from, N: n, PadBytes: pad})
	if err != nil {
		return err
	}
	for i := range int64(n) {
		message, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		if message.Value != from+i {
			return fmt.Errorf("message %d has value %d", i, message.Value)
		}
		if !bytes.Equal(message.Pad, bytes.Repeat([]byte{byte(message.Value)}, pad)) {
			return fmt.Errorf("message %d has the wrong pad (%d bytes)", i, len(message.Pad))
		}
	}
	return wantEnd(stream.Recv())
}

func checkServerStreamCancel(ctx context.Context, s *session) error {
	before, err := s.kit.Info(ctx, &kitpb.InfoRequest{})
	if err != nil {
		return err
	}
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.kit.Count(streamCtx, &kitpb.CountRequest{N: -1, PadBytes: 100, IntervalUs: 200})
	if err != nil {
		return err
	}
	for i := range int64(10) {
		message, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		if message.Value != i {
			return fmt.Errorf("message %d has value %d", i, message.Value)
		}
	}
	cancel()
	return wantCancelled(ctx, s, before.CancelledCalls)
}

func checkClientStream(ctx context.Context, s *session) error {
	stream, err := s.kit.Sum(ctx)
	if err != nil {
		return err
	}
	const n = 1000
	want := int64(0)
	for i := range int64(n) {
		value := i*i - 5000
		want += value
		if err := stream.Send(&kitpb.SumRequest{Value: value}); err != nil {
			return err
		}
	}
	answer, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	if answer.Sum != want || answer.Count != n {
		return fmt.Errorf("sum %d of %d values, not %d of %d", answer.Sum, answer.Count, want, n)
	}

	// Overflow wraps: the largest number plus one is the smallest.
	stream, err = s.kit.Sum(ctx)
	if err != nil {
		return err
	}
	for _, value := range []int64{1<<63 - 1, 1} {
		if err := stream.Send(&kitpb.SumRequest{Value: value}); err != nil {
			return err
		}
	}
	answer, err = stream.CloseAndRecv()
	if err != nil {
		return err
	}
	if answer.Sum != -1<<63 {
		return fmt.Errorf("an overflowing sum is %d, which is not wrapped", answer.Sum)
	}
	return nil
}

func checkBidi(ctx context.Context, s *session) error {
	stream, err := s.kit.Chat(ctx)
	if err != nil {
		return err
	}
	const n = 50
	for i := range int64(n) {
		seq, text := 100+i, fmt.Sprintf("message %d", i)
		if err := stream.Send(&kitpb.ChatMessage{Seq: seq, Text: text}); err != nil {
			return err
		}
		// The answer must arrive before the next message is sent.
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		if answer.Seq != seq || answer.Text != "re: "+text {
			return fmt.Errorf("message %d was answered with %d %q", seq, answer.Seq, answer.Text)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	bye, err := stream.Recv()
	if err != nil {
		return fmt.Errorf("after half-close: %w", err)
	}
	if bye.Seq != n || bye.Text != "bye" {
		return fmt.Errorf("the last message is %d %q, not %d \"bye\"", bye.Seq, bye.Text, n)
	}
	return wantEnd(stream.Recv())
}

func checkFailDetails(ctx context.Context, s *session) error {
	if _, err := s.kit.Fail(ctx, &kitpb.FailRequest{Message: "not used"}); err != nil {
		return fmt.Errorf("code 0: %w", err)
	}
	for code := int32(1); code <= 16; code++ {
		message := fmt.Sprintf("code %d: 100%% \"naïve\" ключ", code)
		_, err := s.kit.Fail(ctx, &kitpb.FailRequest{Code: code, Message: message, Note: "note"})
		if err := wantStatus(err, codes.Code(code), message); err != nil {
			return err
		}
		details := status.Convert(err).Details()
		if len(details) != 1 {
			return fmt.Errorf("code %d: %d details, not 1", code, len(details))
		}
		detail, ok := details[0].(*kitpb.FailDetail)
		if !ok {
			return fmt.Errorf("code %d: the detail is %T (%v)", code, details[0], details[0])
		}
		if detail.Note != "note" || detail.Code != code {
			return fmt.Errorf("code %d: the detail says %q, %d", code, detail.Note, detail.Code)
		}
	}
	_, err := s.kit.Fail(ctx, &kitpb.FailRequest{Code: int32(codes.Aborted), Message: "bare"})
	if err := wantStatus(err, codes.Aborted, "bare"); err != nil {
		return err
	}
	if details := status.Convert(err).Details(); len(details) != 0 {
		return fmt.Errorf("no note was given, yet there are %d details", len(details))
	}
	return nil
}

func checkBig(ctx context.Context, s *session) error {
	const n, seed = 16 << 20, 0x5a
	want := kit.Pattern(n, seed)
	down, err := s.kit.BigPayload(ctx, &kitpb.BigPayloadRequest{N: n, Seed: seed})
	if err != nil {
		return fmt.Errorf("down: %w", err)
	}
	if !bytes.Equal(down.Data, want) {
		return fmt.Errorf("down: got %d bytes that are not the right %d", len(down.Data), n)
	}
	up, err := s.kit.Echo(ctx, &kitpb.EchoRequest{Data: want})
	if err != nil {
		return fmt.Errorf("up: %w", err)
	}
	if !bytes.Equal(up.Data, want) {
		return fmt.Errorf("up: got back %d bytes that are not the right %d", len(up.Data), n)
	}
	return nil
}

func checkManyCalls(ctx context.Context, s *session) error {
	return atOnce(200, func(i int) error {
		data := kit.Pattern(uint32(i*100), uint32(i))
		answer, err := s.kit.Echo(ctx, &kitpb.EchoRequest{Data: data})
		if err != nil {
			return err
		}
		if !bytes.Equal(answer.Data, data) {
			return fmt.Errorf("got the wrong %d bytes", len(answer.Data))
		}
		return nil
	})
}

func checkDeadline(ctx context.Context, s *session) error {
	before, err := s.kit.Info(ctx, &kitpb.InfoRequest{})
	if err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = s.kit.Sleep(short, &kitpb.SleepRequest{Ms: 20_000})
	if code := status.Code(err); code != codes.DeadlineExceeded {
		return fmt.Errorf("ended with %v, not DeadlineExceeded: %v", code, err)
	}
	if took := time.Since(start); took > 2*time.Second {
		return fmt.Errorf("a deadline of 100 ms took %v", took)
	}
	if err := wantCancelled(ctx, s, before.CancelledCalls); err != nil {
		return err
	}
	_, err = s.kit.Sleep(ctx, &kitpb.SleepRequest{Ms: 1})
	return err
}

func checkEnv(ctx context.Context, s *session) error {
	for _, want := range []struct {
		name    string
		present bool
		value   func(string) bool
	}{
		{kit.Handshake.MagicCookieKey, true, is(kit.Handshake.MagicCookieValue)},
		{hostVariable, true, is(hostValue)},
		{"PLUGIN_MIN_PORT", true, is("10000")},
		{"PLUGIN_MAX_PORT", true, is("25000")},
		{"PLUGIN_PROTOCOL_VERSIONS", true, func(value string) bool {
			versions, err := kit.ParseVersions(value)
			slices.Sort(versions)
			return err == nil && slices.Equal(versions, kit.Versions)
		}},
		{"KIT_HOST_NEVER_SETS_THIS", false, is("")},
	} {
		answer, err := s.kit.Env(ctx, &kitpb.EnvRequest{Name: want.name})
		if err != nil {
			return err
		}
		if answer.Present != want.present || !want.value(answer.Value) {
			return fmt.Errorf("%s: present %v, value %q", want.name, answer.Present, answer.Value)
		}
	}
	return nil
}

func is(want string) func(string) bool {
	return func(got string) bool { return got == want }
}

func checkReflection(ctx context.Context, s *session) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	stream, err := reflectionpb.NewServerReflectionClient(s.conn).ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}); err != nil {
		return fmt.Errorf("v1: %w", err)
	}
	answer, err := stream.Recv()
	if err != nil {
		return fmt.Errorf("v1: %w", err)
	}
	var names []string
	for _, service := range answer.GetListServicesResponse().GetService() {
		names = append(names, service.Name)
	}
	if err := wantServices("v1", names); err != nil {
		return err
	}

	alpha, err := reflectionalphapb.NewServerReflectionClient(s.conn).ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	if err := alpha.Send(&reflectionalphapb.ServerReflectionRequest{
		MessageRequest: &reflectionalphapb.ServerReflectionRequest_ListServices{},
	}); err != nil {
		return fmt.Errorf("v1alpha: %w", err)
	}
	alphaAnswer, err := alpha.Recv()
	if err != nil {
		return fmt.Errorf("v1alpha: %w", err)
	}
	names = nil
	for _, service := range alphaAnswer.GetListServicesResponse().GetService() {
		names = append(names, service.Name)
	}
	return wantServices("v1alpha", names)
}

func wantServices(api string, names []string) error {
	for _, want := range []string{
		"conformance.v1.Kit",
		"plugin.GRPCBroker",
		"plugin.GRPCController",
		"plugin.GRPCStdio",
		"grpc.health.v1.Health",
	} {
		if !slices.Contains(names, want) {
			return fmt.Errorf("%s: %s is missing from %v", api, want, names)
		}
	}
	return nil
}

func checkHealth(ctx context.Context, s *session) error {
	client := healthpb.NewHealthClient(s.conn)
	for _, service := range []string{"", "plugin"} {
		answer, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			return fmt.Errorf("service %q: %w", service, err)
		}
		if answer.Status != healthpb.HealthCheckResponse_SERVING {
			return fmt.Errorf("service %q is %v", service, answer.Status)
		}
	}
	_, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "missing.Service"})
	if code := status.Code(err); code != codes.NotFound {
		return fmt.Errorf("an unknown service gives %v, not NotFound: %v", code, err)
	}
	return nil
}

// wantStatus checks the code and the message of a failed call.
func wantStatus(err error, code codes.Code, message string) error {
	got := status.Convert(err)
	if got.Code() != code {
		return fmt.Errorf("ended with %v, not %v: %v", got.Code(), code, err)
	}
	if got.Message() != message {
		return fmt.Errorf("the message is %q, not %q", got.Message(), message)
	}
	return nil
}

// wantEnd checks that a stream ended with OK.
func wantEnd[T any](message *T, err error) error {
	switch {
	case err == io.EOF:
		return nil
	case err != nil:
		return fmt.Errorf("the stream did not end with OK: %w", err)
	default:
		return fmt.Errorf("the stream has one message too many: %v", message)
	}
}

// wantCancelled waits until the plugin has noticed a cancelled call.
func wantCancelled(ctx context.Context, s *session, before int64) error {
	return eventually(ctx, 5*time.Second, "cancelled_calls grows", func() (bool, error) {
		info, err := s.kit.Info(ctx, &kitpb.InfoRequest{})
		if err != nil {
			return false, err
		}
		return info.CancelledCalls > before, nil
	})
}

// atOnce runs n calls at the same time and returns the first failure.
func atOnce(n int, call func(i int) error) error {
	failures := make(chan error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			if err := call(i); err != nil {
				failures <- fmt.Errorf("call %d: %w", i, err)
			}
		})
	}
	group.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

// unique makes a name that is unique in this process.
func unique(prefix string) string {
	return fmt.Sprintf("%s-%d", prefix, time.Now().UnixNano())
}
