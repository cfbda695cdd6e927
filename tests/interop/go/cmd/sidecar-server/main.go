// Command sidecar-server is a gRPC server on a Unix socket that is not a
// plugin of go-plugin: it serves the greeter of the guide and its health, and
// with --reflection also grpc-go's reflection.
//
// With --serving-file FILE its health is NOT_SERVING until FILE exists. With
// --bind-only it makes the socket and does not listen on it until --serving-file
// exists. It prints one line when it has made the socket, and ends when its
// standard input ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"conformance.test/gokit/greeterpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
)

var (
	path       = flag.String("socket", "", "listen on the Unix socket `PATH`")
	reflects   = flag.Bool("reflection", false, "serve reflection")
	serving    = flag.String("serving-file", "", "report NOT_SERVING until `FILE` exists")
	bindOnly   = flag.Bool("bind-only", false, "listen only when the serving file exists")
	withHealth = flag.Bool("health", true, "serve the health service")
)

type greeter struct {
	greeterpb.UnimplementedGreeterServer
}

func (greeter) Greet(_ context.Context, request *greeterpb.GreetRequest) (*greeterpb.GreetResponse, error) {
	return &greeterpb.GreetResponse{Greeting: "Hello from a Go sidecar, " + request.Name + "!"}, nil
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "sidecar-server: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	listener, err := listen()
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	greeterpb.RegisterGreeterServer(server, greeter{})
	if *withHealth {
		status := health.NewServer()
		healthpb.RegisterHealthServer(server, status)
		if *serving != "" && !*bindOnly {
			status.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
			go func() {
				await(*serving)
				status.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
			}()
		}
	}
	if *reflects {
		reflection.Register(server)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Stop()
	}()
	return server.Serve(listener)
}

// listen makes the socket. With --bind-only there is a time in which the
// socket exists and refuses connections, as in every server, but a long one.
func listen() (net.Listener, error) {
	if !*bindOnly {
		listener, err := net.Listen("unix", *path)
		fmt.Println("listening")
		return listener, err
	}
	socket, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Bind(socket, &syscall.SockaddrUnix{Name: *path}); err != nil {
		return nil, err
	}
	fmt.Println("bound")
	await(*serving)
	if err := syscall.Listen(socket, 16); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(socket), *path)
	defer file.Close()
	return net.FileListener(file)
}

func await(file string) {
	for {
		if _, err := os.Stat(file); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
