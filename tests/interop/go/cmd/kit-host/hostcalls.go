package main

import (
	"context"
	"errors"
	"math"
	"slices"

	"conformance.test/gokit/kitpb"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// serveHostCalls serves HostCalls on a fresh broker id and returns once the
// id is listening. The caller stops the server.
func serveHostCalls(broker *plugin.GRPCBroker) (uint32, *grpc.Server, error) {
	id := broker.NextId()
	listening := make(chan *grpc.Server, 1)
	go func() {
		defer close(listening)
		// The library builds the server only when the listener is there.
		broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
			server := grpc.NewServer(append(options, grpc.MaxRecvMsgSize(math.MaxInt32))...)
			kitpb.RegisterHostCallsServer(server, &hostCalls{broker: broker})
			listening <- server
			return server
		})
	}()
	server, ok := <-listening
	if !ok {
		return 0, nil, errors.New("the host cannot listen on a broker id")
	}
	return id, server, nil
}

// hostCalls implements conformance.v1.HostCalls.
type hostCalls struct {
	kitpb.UnimplementedHostCallsServer
	broker *plugin.GRPCBroker
}

func (h *hostCalls) Transform(ctx context.Context, request *kitpb.TransformRequest) (*kitpb.TransformResponse, error) {
	answer := &kitpb.TransformResponse{Seq: request.Seq + 1, Data: reversed(request.Data)}
	if request.DialBackId != 0 {
		conn, err := h.broker.Dial(request.DialBackId)
		if err != nil {
			return nil, err
		}
		defer func() { _ = conn.Close() }()
		greeting, err := kitpb.NewSubClient(conn).Greet(ctx, &kitpb.GreetRequest{Name: "host"})
		if err != nil {
			return nil, err
		}
		answer.Greeting = greeting.Text
	}
	return answer, nil
}

func reversed(data []byte) []byte {
	data = slices.Clone(data)
	slices.Reverse(data)
	return data
}
