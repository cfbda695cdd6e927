package main

import (
	"context"
	"fmt"
	"time"

	"conformance.test/gokit/kitpb"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func (k *kitServer) Callback(ctx context.Context, request *kitpb.CallbackRequest) (*kitpb.CallbackResponse, error) {
	var dialBackID uint32
	if request.Nested {
		dialBackID = k.broker.NextId()
		server, err := serveSub(k.broker, dialBackID, "nested")
		if err != nil {
			return nil, err
		}
		defer server.Stop()
	}

	start := time.Now()
	conn, err := k.broker.Dial(request.BrokerId)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "dial broker id %d: %v", request.BrokerId, err)
	}
	defer func() { _ = conn.Close() }()
	host := kitpb.NewHostCallsClient(conn)

	answer := &kitpb.CallbackResponse{}
	for seq := uint32(0); seq < request.Calls; seq++ {
		transform := &kitpb.TransformRequest{Seq: seq, Data: request.Data}
		if seq == 0 {
			transform.DialBackId = dialBackID
		}
		result, err := host.Transform(ctx, transform)
		if err != nil {
			return nil, status.Errorf(status.Code(err), "transform %d over broker id %d: %v", seq, request.BrokerId, err)
		}
		if result.Seq != seq+1 {
			return nil, status.Errorf(codes.DataLoss, "transform %d answered with seq %d", seq, result.Seq)
		}
		if seq == 0 {
			answer.FirstAnswerUs = time.Since(start).Microseconds()
			answer.Greeting = result.Greeting
		}
		answer.Results = append(answer.Results, result.Data)
	}
	return answer, nil
}

func (k *kitServer) OpenSub(_ context.Context, request *kitpb.OpenSubRequest) (*kitpb.OpenSubResponse, error) {
	id := k.broker.NextId()
	if _, err := serveSub(k.broker, id, request.Label); err != nil {
		return nil, err
	}
	return &kitpb.OpenSubResponse{BrokerId: id}, nil
}

// serveSub serves Sub on a broker id and returns once the id is listening. A
// multiplexing plugin ends its main server when it receives a knock for an id
// that is not listening yet.
func serveSub(broker *plugin.GRPCBroker, id uint32, label string) (*grpc.Server, error) {
	listening := make(chan *grpc.Server, 1)
	go func() {
		defer close(listening)
		// The library builds the server only when the listener is there.
		broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
			server := grpc.NewServer(options...)
			kitpb.RegisterSubServer(server, &subServer{label: label, server: server})
			listening <- server
			return server
		})
	}()
	server, ok := <-listening
	if !ok {
		return nil, status.Errorf(codes.Unavailable, "cannot listen on broker id %d", id)
	}
	return server, nil
}

// subServer implements conformance.v1.Sub.
type subServer struct {
	kitpb.UnimplementedSubServer
	label  string
	server *grpc.Server
}

func (s *subServer) Greet(_ context.Context, request *kitpb.GreetRequest) (*kitpb.GreetResponse, error) {
	return &kitpb.GreetResponse{Text: fmt.Sprintf("hello %s from %s", request.Name, s.label)}, nil
}

func (s *subServer) Ticks(request *kitpb.TicksRequest, stream grpc.ServerStreamingServer[kitpb.TicksResponse]) error {
	for value := int64(0); value < request.N; value++ {
		if err := stream.Send(&kitpb.TicksResponse{Value: value}); err != nil {
			return err
		}
	}
	return nil
}

func (s *subServer) Close(context.Context, *kitpb.CloseRequest) (*kitpb.CloseResponse, error) {
	// A graceful stop closes the listener immediately, and waits for the
	// answer of this call.
	go s.server.GracefulStop()
	return &kitpb.CloseResponse{}, nil
}
