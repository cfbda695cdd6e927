// Command json-plugin is a plugin that reads and writes JSON with protojson,
// whose rules `rpcplugin call` follows. Its messages are in json.proto and
// legacy.proto. It has no generated code: a host compiles these files, and
// gives the set of descriptors with --descriptors.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"conformance.test/gokit/internal/kit"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

func main() {
	descriptors := flag.String("descriptors", "", "the compiled set of descriptors of json.proto and legacy.proto, in `FILE`")
	flag.Parse()

	served, err := load(*descriptors)
	if err != nil {
		fmt.Fprintf(os.Stderr, "json-plugin: %v\n", err)
		os.Exit(1)
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  kit.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{1: {kit.Name: served}},
		GRPCServer:       plugin.DefaultGRPCServer,
	})
}

// jsonPlugin serves json.v1.Json.
type jsonPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	types   *dynamicpb.Types
	service protoreflect.ServiceDescriptor
}

func load(path string) (*jsonPlugin, error) {
	bytes, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(bytes, set); err != nil {
		return nil, err
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, err
	}
	found, err := files.FindDescriptorByName("json.v1.Json")
	if err != nil {
		return nil, err
	}
	service, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, errors.New("json.v1.Json is not a service")
	}
	return &jsonPlugin{types: dynamicpb.NewTypes(files), service: service}, nil
}

func (p *jsonPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("json-plugin only serves")
}

func (p *jsonPlugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: string(p.service.FullName()),
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			p.method("Read", p.read),
			p.method("Write", p.write),
			p.method("Received", p.received),
			p.method("Echo", p.echo),
			p.method("EchoLegacy", p.echo),
			p.method("One", p.one),
		},
		Streams: []grpc.StreamDesc{{StreamName: "Many", ServerStreams: true, Handler: p.many}},
	}, p)
	return nil
}

// read makes messages of JSON.
func (p *jsonPlugin) read(in, out *dynamicpb.Message) error {
	return p.each(in, "texts", out, func(question, result protoreflect.Message) error {
		message, err := p.new(text(question, "type"))
		if err != nil {
			return err
		}
		err = protojson.UnmarshalOptions{Resolver: p.types}.Unmarshal([]byte(text(question, "json")), message)
		if err != nil {
			set(result, "error", protoreflect.ValueOfString(err.Error()))
			return nil
		}
		return p.deterministic(message, result)
	})
}

// write makes JSON of messages.
func (p *jsonPlugin) write(in, out *dynamicpb.Message) error {
	return p.each(in, "messages", out, func(question, result protoreflect.Message) error {
		message, err := p.new(text(question, "type"))
		if err != nil {
			return err
		}
		bytes := question.Get(field(question, "bytes")).Bytes()
		err = proto.UnmarshalOptions{AllowPartial: true, Resolver: p.types}.Unmarshal(bytes, message)
		if err == nil {
			options := protojson.MarshalOptions{
				AllowPartial:      true,
				EmitDefaultValues: question.Get(field(question, "defaults")).Bool(),
				Resolver:          p.types,
			}
			bytes, err = options.Marshal(message)
		}
		if err != nil {
			set(result, "error", protoreflect.ValueOfString(err.Error()))
			return nil
		}
		set(result, "json", protoreflect.ValueOfString(string(bytes)))
		return nil
	})
}

// each answers each message of a list. A panic of protojson is an error.
func (p *jsonPlugin) each(in *dynamicpb.Message, list string, out *dynamicpb.Message, answer func(question, result protoreflect.Message) error) error {
	questions, results := in.Get(field(in, list)).List(), out.Mutable(field(out, "results")).List()
	for i := range questions.Len() {
		result := results.NewElement()
		if err := guarded(answer, questions.Get(i).Message(), result.Message()); err != nil {
			return err
		}
		results.Append(result)
	}
	return nil
}

func guarded(answer func(question, result protoreflect.Message) error, question, result protoreflect.Message) error {
	defer func() {
		if panicked := recover(); panicked != nil {
			set(result, "error", protoreflect.ValueOfString(fmt.Sprintf("panic: %v", panicked)))
		}
	}()
	return answer(question, result)
}

// received answers with the bytes of its request.
func (p *jsonPlugin) received(in, out *dynamicpb.Message) error {
	return p.deterministic(in, out)
}

func (p *jsonPlugin) echo(in, out *dynamicpb.Message) error {
	proto.Merge(out, in)
	return nil
}

// one answers with bytes that may not be a message.
func (p *jsonPlugin) one(in, out *dynamicpb.Message) error {
	out.SetUnknown(in.Get(field(in, "messages")).List().Get(0).Bytes())
	return nil
}

func (p *jsonPlugin) many(_ any, stream grpc.ServerStream) error {
	method := p.service.Methods().ByName("Many")
	in := dynamicpb.NewMessage(method.Input())
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	messages := in.Get(field(in, "messages")).List()
	for i := range messages.Len() {
		out := dynamicpb.NewMessage(method.Output())
		out.SetUnknown(messages.Get(i).Bytes())
		if err := stream.SendMsg(out); err != nil {
			return err
		}
	}
	return nil
}

func (p *jsonPlugin) method(name string, handle func(in, out *dynamicpb.Message) error) grpc.MethodDesc {
	method := p.service.Methods().ByName(protoreflect.Name(name))
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in, out := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
			if err := decode(in); err != nil {
				return nil, err
			}
			if err := handle(in, out); err != nil {
				return nil, err
			}
			return out, nil
		},
	}
}

func (p *jsonPlugin) new(name string) (proto.Message, error) {
	message, err := p.types.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		return nil, fmt.Errorf("unknown message %s: %w", name, err)
	}
	return message.New().Interface(), nil
}

func (p *jsonPlugin) deterministic(message proto.Message, out protoreflect.Message) error {
	bytes, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(message)
	if err == nil {
		set(out, "bytes", protoreflect.ValueOfBytes(bytes))
	}
	return err
}

func field(message protoreflect.Message, name string) protoreflect.FieldDescriptor {
	return message.Descriptor().Fields().ByName(protoreflect.Name(name))
}

func text(message protoreflect.Message, name string) string {
	return message.Get(field(message, name)).String()
}

func set(message protoreflect.Message, name string, value protoreflect.Value) {
	message.Set(field(message, name), value)
}
