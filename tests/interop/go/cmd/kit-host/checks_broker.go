package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"conformance.test/gokit/internal/kit"
	"conformance.test/gokit/kitpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// brokerChecks are about brokered connections.
var brokerChecks = []check{
	{"callback", onSession(checkCallback)},
	{"callback-nested", onSession(checkCallbackNested)},
	{"callback-3mib", onSession(checkCallbackBig)},
	{"open-sub", onSession(checkOpenSub)},
	{"subs-30-in-turn", onSession(checkSubsInTurn)},
	{"subs-16-at-once", onSession(checkSubsAtOnce)},
	{"callbacks-16-at-once", onSession(checkCallbacksAtOnce)},
	{"redial", onSession(checkRedial)},
	{"dial-unserved-id", onSession(checkDialUnserved)},
	{"stop-with-brokered-open", checkStopWithBrokeredOpen},
}

// oneAtATime is the reason why two brokered connections are not made at the
// same time over one multiplexed connection: go-plugin assigns the streams in
// the order of their arrival.
const oneAtATime = skipped("go-plugin requires multiplexed connections to be made one after the other")

func checkCallback(ctx context.Context, s *session) error {
	for _, calls := range []uint32{1, 30} {
		if _, err := callback(ctx, s, &kitpb.CallbackRequest{Calls: calls, Data: []byte("forwards")}); err != nil {
			return fmt.Errorf("%d calls: %w", calls, err)
		}
	}
	return nil
}

func checkCallbackNested(ctx context.Context, s *session) error {
	for range 3 {
		answer, err := callback(ctx, s, &kitpb.CallbackRequest{Calls: 2, Data: []byte("nested"), Nested: true})
		if err != nil {
			return err
		}
		if answer.Greeting != "hello host from nested" {
			return fmt.Errorf("the greeting is %q", answer.Greeting)
		}
	}
	return nil
}

func checkCallbackBig(ctx context.Context, s *session) error {
	_, err := callback(ctx, s, &kitpb.CallbackRequest{Calls: 2, Data: kit.Pattern(3<<20, 9)})
	return err
}

func checkOpenSub(ctx context.Context, s *session) error {
	sub, err := openSub(ctx, s, "open-sub")
	if err != nil {
		return err
	}
	return sub.close(ctx)
}

func checkSubsInTurn(ctx context.Context, s *session) error {
	for i := range 30 {
		sub, err := openSub(ctx, s, fmt.Sprintf("in turn %d", i))
		if err != nil {
			return fmt.Errorf("sub %d: %w", i, err)
		}
		if err := sub.close(ctx); err != nil {
			return fmt.Errorf("sub %d: %w", i, err)
		}
	}
	return nil
}

func checkSubsAtOnce(ctx context.Context, s *session) error {
	if s.options.mux {
		return oneAtATime
	}
	return atOnce(16, func(i int) error {
		sub, err := openSub(ctx, s, fmt.Sprintf("at once %d", i))
		if err != nil {
			return err
		}
		return sub.close(ctx)
	})
}

func checkCallbacksAtOnce(ctx context.Context, s *session) error {
	if s.options.mux {
		return oneAtATime
	}
	return atOnce(16, func(i int) error {
		_, err := callback(ctx, s, &kitpb.CallbackRequest{Calls: 5, Data: fmt.Appendf(nil, "callback %d", i)})
		return err
	})
}

// checkRedial makes several connections to the same id, in each direction.
func checkRedial(ctx context.Context, s *session) error {
	if !s.options.mux {
		return skipped("without multiplexing go-plugin dials an id once")
	}
	opened, err := s.kit.OpenSub(ctx, &kitpb.OpenSubRequest{Label: "redial"})
	if err != nil {
		return err
	}
	for i := range 3 {
		conn, err := s.broker.Dial(opened.BrokerId)
		if err != nil {
			return fmt.Errorf("dial %d: %w", i, err)
		}
		defer func() { _ = conn.Close() }()
		sub := &brokeredSub{conn: conn, client: kitpb.NewSubClient(conn)}
		if err := sub.verify(ctx, "redial"); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	id, server, err := serveHostCalls(s.broker)
	if err != nil {
		return err
	}
	defer server.Stop()
	for i := range 3 {
		if _, err := s.kit.Callback(ctx, &kitpb.CallbackRequest{BrokerId: id, Calls: 2, Data: []byte("redial")}); err != nil {
			return fmt.Errorf("callback %d: %w", i, err)
		}
	}
	return nil
}

func checkDialUnserved(ctx context.Context, s *session) error {
	start := time.Now()
	_, err := s.kit.Callback(ctx, &kitpb.CallbackRequest{BrokerId: s.broker.NextId(), Calls: 1, Data: []byte("x")})
	took := time.Since(start)
	if code := status.Code(err); code == codes.OK {
		return errors.New("a callback to an id that is not served was answered with OK")
	}
	if took > 7*time.Second {
		return fmt.Errorf("the call failed after %v: %v", took, err)
	}
	if err := checkPutGet(ctx, s); err != nil {
		return fmt.Errorf("calls afterwards: %w", err)
	}
	if err := checkCallback(ctx, s); err != nil {
		return fmt.Errorf("callbacks afterwards: %w", err)
	}
	return checkOpenSub(ctx, s)
}

func checkStopWithBrokeredOpen(ctx context.Context, r *checkRun) error {
	s, err := r.open()
	if err != nil {
		return err
	}
	// A sub that the host has dialled, and one that it never dials.
	sub, err := openSub(ctx, s, "left open")
	if err != nil {
		return err
	}
	defer func() { _ = sub.conn.Close() }()
	if _, err := s.kit.OpenSub(ctx, &kitpb.OpenSubRequest{Label: "never dialled"}); err != nil {
		return err
	}
	_, server, err := serveHostCalls(s.broker)
	if err != nil {
		return err
	}
	defer server.Stop()
	return wantCleanStop(s)
}

// callback serves HostCalls, makes the plugin call it, and checks the results.
func callback(ctx context.Context, s *session, request *kitpb.CallbackRequest) (*kitpb.CallbackResponse, error) {
	id, server, err := serveHostCalls(s.broker)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	request.BrokerId = id
	answer, err := s.kit.Callback(ctx, request)
	if err != nil {
		return nil, err
	}
	if len(answer.Results) != int(request.Calls) {
		return nil, fmt.Errorf("%d results, not %d", len(answer.Results), request.Calls)
	}
	want := reversed(request.Data)
	for i, result := range answer.Results {
		if !bytes.Equal(result, want) {
			return nil, fmt.Errorf("result %d is not the reversed data (%d bytes)", i, len(result))
		}
	}
	if !request.Nested && answer.Greeting != "" {
		return nil, fmt.Errorf("an unexpected greeting: %q", answer.Greeting)
	}
	return answer, nil
}

// brokeredSub is a Sub that the plugin serves and the host has dialled.
type brokeredSub struct {
	conn   *grpc.ClientConn
	client kitpb.SubClient
}

// openSub makes the plugin serve a Sub, dials it, and checks its answers.
func openSub(ctx context.Context, s *session, label string) (*brokeredSub, error) {
	opened, err := s.kit.OpenSub(ctx, &kitpb.OpenSubRequest{Label: label})
	if err != nil {
		return nil, err
	}
	conn, err := s.broker.Dial(opened.BrokerId)
	if err != nil {
		return nil, fmt.Errorf("dial broker id %d: %w", opened.BrokerId, err)
	}
	sub := &brokeredSub{conn: conn, client: kitpb.NewSubClient(conn)}
	if err := sub.verify(ctx, label); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return sub, nil
}

func (b *brokeredSub) verify(ctx context.Context, label string) error {
	greeting, err := b.client.Greet(ctx, &kitpb.GreetRequest{Name: "you"})
	if err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	if want := "hello you from " + label; greeting.Text != want {
		return fmt.Errorf("the greeting is %q, not %q", greeting.Text, want)
	}
	const n = 100
	ticks, err := b.client.Ticks(ctx, &kitpb.TicksRequest{N: n})
	if err != nil {
		return fmt.Errorf("ticks: %w", err)
	}
	for want := int64(0); ; want++ {
		tick, err := ticks.Recv()
		if err == io.EOF && want == n {
			return nil
		}
		if err != nil {
			return fmt.Errorf("tick %d of %d: %w", want, n, err)
		}
		if tick.Value != want {
			return fmt.Errorf("tick %d has value %d", want, tick.Value)
		}
	}
}

// close makes the plugin stop serving the id, and closes the connection.
func (b *brokeredSub) close(ctx context.Context) error {
	_, err := b.client.Close(ctx, &kitpb.CloseRequest{})
	return errors.Join(err, b.conn.Close())
}
