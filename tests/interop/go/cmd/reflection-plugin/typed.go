package main

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The files that are served, as protoc describes them.
var sources = []string{`
	name: "ed.proto" package: "ed.v1" syntax: "editions" edition: EDITION_2023
	dependency: "google/protobuf/wrappers.proto"
	message_type {
		name: "Msg"
		field { name: "name" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "name" }
		field { name: "plain" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "plain"
			options { features { field_presence: IMPLICIT } } }
		field { name: "packed" number: 3 label: LABEL_REPEATED type: TYPE_INT32 json_name: "packed" }
		field { name: "expanded" number: 4 label: LABEL_REPEATED type: TYPE_INT32 json_name: "expanded"
			options { features { repeated_field_encoding: EXPANDED } } }
		field { name: "inner" number: 5 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".ed.v1.Msg" json_name: "inner"
			options { features { message_encoding: DELIMITED } } }
		field { name: "color" number: 6 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: ".ed.v1.Color" json_name: "color" }
		field { name: "by_name" number: 8 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".ed.v1.Msg.ByNameEntry" json_name: "byName" }
		nested_type {
			name: "ByNameEntry"
			field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "key" }
			field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "value" }
			options { map_entry: true }
		}
	}
	message_type {
		name: "Strict"
		field { name: "must" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "must"
			options { features { field_presence: LEGACY_REQUIRED } } }
	}
	enum_type {
		name: "Color"
		value { name: "RED" number: 3 }
		value { name: "GREEN" number: 1 }
		options { features { enum_type: CLOSED } }
	}
	service {
		name: "Ed"
		method { name: "Echo" input_type: ".ed.v1.Msg" output_type: ".ed.v1.Msg" }
		method { name: "Show" input_type: ".ed.v1.Msg" output_type: ".google.protobuf.StringValue" }
		method { name: "Strict" input_type: ".ed.v1.Strict" output_type: ".ed.v1.Strict" }
	}`, `
	name: "two.proto" package: "two.v1" syntax: "proto2"
	message_type {
		name: "Base"
		field { name: "a" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "a" }
		extension_range { start: 100 end: 200 }
	}
	service {
		name: "Two"
		method { name: "Echo" input_type: ".two.v1.Base" output_type: ".two.v1.Base" }
	}`, `
	name: "more.proto" package: "more.v1" syntax: "proto2" dependency: "two.proto"
	message_type {
		name: "Detail"
		field { name: "text" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "text" }
	}
	extension { name: "note" number: 100 label: LABEL_OPTIONAL type: TYPE_STRING extendee: ".two.v1.Base" json_name: "note" }
	extension { name: "marks" number: 101 label: LABEL_REPEATED type: TYPE_INT32 extendee: ".two.v1.Base" json_name: "marks" }
	extension { name: "detail" number: 102 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".more.v1.Detail"
		extendee: ".two.v1.Base" json_name: "detail" }`,
}

// typed serves the services of the files.
type typed struct {
	plugin.NetRPCUnsupportedPlugin
	noClient
	services []protoreflect.ServiceDescriptor
}

type noClient struct{}

func (noClient) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil // a plugin has no client
}

func newTyped() (*typed, error) {
	made := &typed{}
	for _, source := range sources {
		description := &descriptorpb.FileDescriptorProto{}
		if err := prototext.Unmarshal([]byte(source), description); err != nil {
			return nil, err
		}
		file, err := protodesc.NewFile(description, protoregistry.GlobalFiles)
		if err != nil {
			return nil, err
		}
		if err := protoregistry.GlobalFiles.RegisterFile(file); err != nil {
			return nil, err
		}
		for i := 0; i < file.Extensions().Len(); i++ {
			extension := dynamicpb.NewExtensionType(file.Extensions().Get(i))
			if err := protoregistry.GlobalTypes.RegisterExtension(extension); err != nil {
				return nil, err
			}
		}
		for i := 0; i < file.Services().Len(); i++ {
			made.services = append(made.services, file.Services().Get(i))
		}
	}
	return made, nil
}

func (t *typed) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	for _, service := range t.services {
		description := &grpc.ServiceDesc{ServiceName: string(service.FullName()), HandlerType: (*any)(nil)}
		for i := 0; i < service.Methods().Len(); i++ {
			method := service.Methods().Get(i)
			description.Methods = append(description.Methods, grpc.MethodDesc{
				MethodName: string(method.Name()),
				Handler:    handler(method),
			})
		}
		server.RegisterService(description, struct{}{})
	}
	return nil
}

// handler answers with the request, or with its JSON.
func handler(method protoreflect.MethodDescriptor) grpc.MethodHandler {
	return func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		request := dynamicpb.NewMessage(method.Input())
		if err := decode(request); err != nil {
			return nil, err
		}
		if method.Output() == method.Input() {
			return request, nil
		}
		text, err := protojson.Marshal(request)
		return wrapperspb.String(string(text)), err
	}
}
