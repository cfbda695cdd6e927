package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"conformance.test/gokit/internal/kit"
	"conformance.test/gokit/kitpb"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// kitPlugin registers Kit for one application protocol version.
type kitPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	version   int
	logger    hclog.Logger
	rawStderr *os.File
	counters  *counters
}

func (p *kitPlugin) GRPCServer(broker *plugin.GRPCBroker, server *grpc.Server) error {
	kitpb.RegisterKitServer(server, &kitServer{
		kitPlugin: p,
		broker:    broker,
		values:    map[string][]byte{},
	})
	return nil
}

func (p *kitPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("kit-plugin only serves")
}

// kitServer implements conformance.v1.Kit. The brokered calls are in
// broker.go.
type kitServer struct {
	kitpb.UnimplementedKitServer
	*kitPlugin
	broker *plugin.GRPCBroker

	mutex  sync.Mutex
	values map[string][]byte
}

// library is the go-plugin that this program was built with.
func library() string {
	const path = "github.com/hashicorp/go-plugin"
	info, _ := debug.ReadBuildInfo()
	for i := 0; info != nil && i < len(info.Deps); i++ {
		if info.Deps[i].Path == path {
			return path + " " + info.Deps[i].Version
		}
	}
	return path
}

func (k *kitServer) Info(context.Context, *kitpb.InfoRequest) (*kitpb.InfoResponse, error) {
	return &kitpb.InfoResponse{
		Pid:             int64(os.Getpid()),
		ProtocolVersion: int32(k.version),
		Implementation:  fmt.Sprintf("%s, %s, grpc-go %s", runtime.Version(), library(), grpc.Version),
		CancelledCalls:  k.counters.cancelled.Load(),
		Calls:           k.counters.started.Load(),
	}, nil
}

func (k *kitServer) Echo(ctx context.Context, request *kitpb.EchoRequest) (*kitpb.EchoResponse, error) {
	header, trailer := metadata.MD{}, metadata.MD{}
	inbound, _ := metadata.FromIncomingContext(ctx)
	for key, values := range inbound {
		if rest, ok := strings.CutPrefix(key, "x-kit-"); ok {
			header.Append(key, values...)
			trailer.Append("x-kit-trailer-"+rest, values...)
		}
	}
	if err := grpc.SetHeader(ctx, header); err != nil {
		return nil, err
	}
	if err := grpc.SetTrailer(ctx, trailer); err != nil {
		return nil, err
	}
	return &kitpb.EchoResponse{Data: request.Data}, nil
}

func (k *kitServer) Put(_ context.Context, request *kitpb.PutRequest) (*kitpb.PutResponse, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	_, replaced := k.values[request.Key]
	k.values[request.Key] = request.Value
	return &kitpb.PutResponse{Replaced: replaced}, nil
}

func (k *kitServer) Get(_ context.Context, request *kitpb.GetRequest) (*kitpb.GetResponse, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	value, ok := k.values[request.Key]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no such key: %s", request.Key)
	}
	return &kitpb.GetResponse{Value: value}, nil
}

func (k *kitServer) Count(request *kitpb.CountRequest, stream grpc.ServerStreamingServer[kitpb.CountResponse]) error {
	ctx := stream.Context()
	interval := time.Duration(request.IntervalUs) * time.Microsecond
	for i := int64(0); request.N < 0 || i < request.N; i++ {
		value := request.From + i
		err := stream.Send(&kitpb.CountResponse{
			Value: value,
			Pad:   bytes.Repeat([]byte{byte(value)}, int(request.PadBytes)),
		})
		if err == nil {
			err = sleep(ctx, interval)
		}
		if err != nil {
			return k.ended(ctx, err)
		}
	}
	return nil
}

func (k *kitServer) Sum(stream grpc.ClientStreamingServer[kitpb.SumRequest, kitpb.SumResponse]) error {
	answer := &kitpb.SumResponse{}
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(answer)
		}
		if err != nil {
			return err
		}
		answer.Sum += request.Value
		answer.Count++
	}
}

func (k *kitServer) Chat(stream grpc.BidiStreamingServer[kitpb.ChatMessage, kitpb.ChatMessage]) error {
	received := int64(0)
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			return stream.Send(&kitpb.ChatMessage{Seq: received, Text: "bye"})
		}
		if err != nil {
			return err
		}
		received++
		if err := stream.Send(&kitpb.ChatMessage{Seq: message.Seq, Text: "re: " + message.Text}); err != nil {
			return err
		}
	}
}

func (k *kitServer) Fail(_ context.Context, request *kitpb.FailRequest) (*kitpb.FailResponse, error) {
	if request.Code == 0 {
		return &kitpb.FailResponse{}, nil
	}
	failure := status.New(codes.Code(request.Code), request.Message)
	if request.Note != "" {
		detailed, err := failure.WithDetails(&kitpb.FailDetail{Note: request.Note, Code: request.Code})
		if err != nil {
			return nil, err
		}
		failure = detailed
	}
	return nil, failure.Err()
}

func (k *kitServer) WriteStdio(_ context.Context, request *kitpb.WriteStdioRequest) (*kitpb.WriteStdioResponse, error) {
	// By now os.Stdout and os.Stderr are the pipes that the library reads.
	if _, err := os.Stdout.Write(request.Stdout); err != nil {
		return nil, err
	}
	if _, err := os.Stderr.Write(request.Stderr); err != nil {
		return nil, err
	}
	if _, err := k.rawStderr.Write(request.RawStderr); err != nil {
		return nil, err
	}
	return &kitpb.WriteStdioResponse{}, nil
}

func (k *kitServer) LogLine(_ context.Context, request *kitpb.LogLineRequest) (*kitpb.LogLineResponse, error) {
	level := hclog.LevelFromString(request.Level)
	if level == hclog.NoLevel || level == hclog.Off {
		return nil, status.Errorf(codes.InvalidArgument, "unknown level: %s", request.Level)
	}
	logger := k.logger
	if request.Module != "" {
		logger = logger.ResetNamed(request.Module)
	}
	var pairs []any
	for _, field := range request.Fields {
		var value any
		switch v := field.Value.(type) {
		case *kitpb.LogField_Text:
			value = v.Text
		case *kitpb.LogField_Number:
			value = v.Number
		case *kitpb.LogField_Flag:
			value = v.Flag
		case *kitpb.LogField_Real:
			value = v.Real
		}
		pairs = append(pairs, field.Key, value)
	}
	logger.Log(level, request.Message, pairs...)
	return &kitpb.LogLineResponse{}, nil
}

func (k *kitServer) Env(_ context.Context, request *kitpb.EnvRequest) (*kitpb.EnvResponse, error) {
	value, present := os.LookupEnv(request.Name)
	return &kitpb.EnvResponse{Present: present, Value: value}, nil
}

func (k *kitServer) Sleep(ctx context.Context, request *kitpb.SleepRequest) (*kitpb.SleepResponse, error) {
	if err := sleep(ctx, time.Duration(request.Ms)*time.Millisecond); err != nil {
		return nil, k.ended(ctx, err)
	}
	return &kitpb.SleepResponse{}, nil
}

func (k *kitServer) Exit(_ context.Context, request *kitpb.ExitRequest) (*kitpb.ExitResponse, error) {
	os.Exit(int(request.Code))
	return nil, nil
}

func (k *kitServer) Panic(_ context.Context, request *kitpb.PanicRequest) (*kitpb.PanicResponse, error) {
	panic(request.Message)
}

func (k *kitServer) BigPayload(_ context.Context, request *kitpb.BigPayloadRequest) (*kitpb.BigPayloadResponse, error) {
	if request.N > math.MaxInt32 {
		return nil, status.Errorf(codes.ResourceExhausted, "no message can carry %d bytes", request.N)
	}
	return &kitpb.BigPayloadResponse{Data: kit.Pattern(request.N, request.Seed)}, nil
}

// ended counts a cancelled call, and turns the error into a status.
func (k *kitServer) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		k.counters.cancelled.Add(1)
		return status.FromContextError(ctx.Err()).Err()
	}
	return err
}

// sleep waits for the duration or until the context ends, whose error it
// then returns.
func sleep(ctx context.Context, duration time.Duration) error {
	if duration <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// counters are the counters that Info reports.
type counters struct {
	started   atomic.Int64
	cancelled atomic.Int64
}

func (c *counters) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	c.count(info.FullMethod)
	return handler(ctx, request)
}

func (c *counters) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	c.count(info.FullMethod)
	return handler(server, stream)
}

func (c *counters) count(method string) {
	if strings.HasPrefix(method, "/"+kitpb.Kit_ServiceDesc.ServiceName+"/") {
		c.started.Add(1)
	}
}
