package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// answers are the answers of a plugin. Bytes are base64 in JSON.
type answers struct {
	// Services is the list of services.
	Services []string
	// Symbols and Files are the files for a name.
	Symbols map[string][][]byte
	Files   map[string][][]byte
	// Numbers are the extensions of a message, Extensions their files by
	// "message/number".
	Numbers    map[string][]int32
	Extensions map[string][][]byte
	// Calls are the answers of methods, by path.
	Calls map[string][]byte
	// Endless makes each file import another file, with that many bytes of
	// text.
	Endless int
	// Fail makes a question for this symbol end the stream, or the first
	// question of all with "list".
	Fail string
	// Silent leaves a question without an answer, in the same way.
	Silent string
}

// server serves any method, and reflection with these answers.
func (a *answers) server(options []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(options,
		grpc.ForceServerCodec(codec{}),
		grpc.UnknownServiceHandler(a.call),
		grpc.StreamInterceptor(func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			switch info.FullMethod {
			case "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":
				return a.reflect(stream)
			case "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo":
				return status.Error(codes.Unimplemented, "only v1")
			}
			return handler(server, stream)
		}),
	)...)
}

func (a *answers) call(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	if answer, ok := a.Calls[method]; ok {
		request = answer
	}
	return stream.SendMsg(&request)
}

func (a *answers) reflect(stream grpc.ServerStream) error {
	for {
		request := &reflection.ServerReflectionRequest{}
		if err := stream.RecvMsg(request); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		response := &reflection.ServerReflectionResponse{OriginalRequest: request}
		switch one := request.MessageRequest.(type) {
		case *reflection.ServerReflectionRequest_ListServices:
			switch "list" {
			case a.Fail:
				return status.Error(codes.Internal, "the list is lost")
			case a.Silent:
				<-stream.Context().Done()
				return nil
			}
			list := &reflection.ListServiceResponse{}
			for _, name := range a.Services {
				list.Service = append(list.Service, &reflection.ServiceResponse{Name: name})
			}
			response.MessageResponse = &reflection.ServerReflectionResponse_ListServicesResponse{ListServicesResponse: list}
		case *reflection.ServerReflectionRequest_FileContainingSymbol:
			switch one.FileContainingSymbol {
			case a.Fail:
				return status.Error(codes.Internal, "the description is lost")
			case a.Silent:
				<-stream.Context().Done()
				return nil
			}
			found, ok := a.Symbols[one.FileContainingSymbol]
			files(response, found, ok, one.FileContainingSymbol)
		case *reflection.ServerReflectionRequest_FileByFilename:
			found, ok := a.Files[one.FileByFilename]
			if a.Endless > 0 && !ok {
				found, ok = [][]byte{a.endless(one.FileByFilename)}, true
			}
			files(response, found, ok, one.FileByFilename)
		case *reflection.ServerReflectionRequest_FileContainingExtension:
			name := fmt.Sprintf("%s/%d", one.FileContainingExtension.ContainingType, one.FileContainingExtension.ExtensionNumber)
			found, ok := a.Extensions[name]
			files(response, found, ok, name)
		case *reflection.ServerReflectionRequest_AllExtensionNumbersOfType:
			response.MessageResponse = &reflection.ServerReflectionResponse_AllExtensionNumbersResponse{
				AllExtensionNumbersResponse: &reflection.ExtensionNumberResponse{
					BaseTypeName:    one.AllExtensionNumbersOfType,
					ExtensionNumber: a.Numbers[one.AllExtensionNumbersOfType],
				},
			}
		}
		if err := stream.SendMsg(response); err != nil {
			return err
		}
	}
}

// files answers with files, or with an error for unknown files.
func files(response *reflection.ServerReflectionResponse, found [][]byte, ok bool, name string) {
	if !ok {
		response.MessageResponse = &reflection.ServerReflectionResponse_ErrorResponse{
			ErrorResponse: &reflection.ErrorResponse{ErrorCode: int32(codes.NotFound), ErrorMessage: "no " + name},
		}
		return
	}
	response.MessageResponse = &reflection.ServerReflectionResponse_FileDescriptorResponse{
		FileDescriptorResponse: &reflection.FileDescriptorResponse{FileDescriptorProto: found},
	}
}

// endless is a file that imports another file.
func (a *answers) endless(name string) []byte {
	var number int
	_, _ = fmt.Sscanf(name, "endless%d.proto", &number)
	file := &descriptorpb.FileDescriptorProto{
		Name:       proto.String(name),
		Dependency: []string{fmt.Sprintf("endless%d.proto", number+1)},
		SourceCodeInfo: &descriptorpb.SourceCodeInfo{
			Location: []*descriptorpb.SourceCodeInfo_Location{
				{LeadingComments: proto.String(strings.Repeat("x", a.Endless))},
			},
		},
	}
	bytes, err := proto.Marshal(file)
	if err != nil {
		panic(err)
	}
	return bytes
}

// codec encodes messages as protobuf, and leaves bytes unchanged.
type codec struct{}

func (codec) Marshal(value any) ([]byte, error) {
	if bytes, ok := value.(*[]byte); ok {
		return *bytes, nil
	}
	return proto.Marshal(value.(proto.Message))
}

func (codec) Unmarshal(data []byte, value any) error {
	if bytes, ok := value.(*[]byte); ok {
		*bytes = append([]byte(nil), data...)
		return nil
	}
	return proto.Unmarshal(data, value.(proto.Message))
}

func (codec) Name() string { return "proto" }
