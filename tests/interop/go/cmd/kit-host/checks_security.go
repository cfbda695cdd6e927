package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"conformance.test/gokit/kitpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// checkUnauthorizedClientsRefused calls the plugin as clients that it must
// refuse.
func checkUnauthorizedClientsRefused(ctx context.Context, s *session) error {
	switch {
	case !s.options.autoMTLS && s.options.tlsDir == "":
		return skipped("the connection is in plain text")
	case s.options.mux:
		return skipped("a multiplexing plugin listens for one host only")
	}
	foreign, err := foreignCertificate()
	if err != nil {
		return err
	}
	// The clients do not verify the plugin: the plugin must refuse them.
	withCertificates := func(certificates ...tls.Certificate) credentials.TransportCredentials {
		return credentials.NewTLS(&tls.Config{Certificates: certificates, InsecureSkipVerify: true})
	}
	unauthorized := map[string]credentials.TransportCredentials{
		"in plain text":              insecure.NewCredentials(),
		"without a certificate":      withCertificates(),
		"with a foreign certificate": withCertificates(foreign),
	}
	address := s.client.ReattachConfig().Addr
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, address.Network(), address.String())
	}
	for which, client := range unauthorized {
		conn, err := grpc.NewClient("passthrough:///localhost",
			grpc.WithTransportCredentials(client), grpc.WithContextDialer(dial))
		if err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err = kitpb.NewKitClient(conn).Info(limited, &kitpb.InfoRequest{})
		cancel()
		_ = conn.Close()
		if err == nil {
			return fmt.Errorf("a client %s was served", which)
		}
		// A plugin that hangs is silent too.
		if code := status.Code(err); code != codes.Unavailable && code != codes.PermissionDenied && code != codes.Unauthenticated {
			return fmt.Errorf("a client %s was not refused: %w", which, err)
		}
	}
	return s.ping()
}

// foreignCertificate is a self-signed certificate.
func foreignCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := certificateTemplate(1, "unauthorized")
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
