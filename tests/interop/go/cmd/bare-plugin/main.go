// Command bare-plugin is a gRPC server with a handshake line and the health
// service, but without a controller and the other services of go-plugin. It
// ignores the cookie, and listens on TCP.
package main

import (
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintf(os.Stderr, "bare-plugin: %v\n", err)
		os.Exit(1)
	}
	status := health.NewServer()
	status.SetServingStatus("plugin", healthpb.HealthCheckResponse_SERVING)
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, status)
	fmt.Printf("1|1|tcp|%s|grpc|\n", listener.Addr())
	if err := server.Serve(listener); err != nil {
		fmt.Fprintf(os.Stderr, "bare-plugin: %v\n", err)
		os.Exit(1)
	}
}
