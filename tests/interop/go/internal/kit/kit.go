// Package kit is the shared part of the conformance plugin and host: the
// handshake, the versions, the name of the plugin, the certificate files and
// the reattach JSON.
package kit

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin"
)

// Name is the plugin set entry that hosts dispense.
const Name = "kit"

// Handshake carries the cookie. The application protocol versions live in
// the VersionedPlugins maps.
var Handshake = plugin.HandshakeConfig{
	MagicCookieKey:   "CONFORMANCE_KIT_COOKIE",
	MagicCookieValue: "b1d0c9a6-conformance",
}

// Versions are the application protocol versions of the kit.
var Versions = []int{1, 2, 3}

// ParseVersions reads a comma separated list of versions, such as "1,2,3".
func ParseVersions(list string) ([]int, error) {
	var versions []int
	for _, field := range strings.Split(list, ",") {
		version, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil {
			return nil, fmt.Errorf("bad version %q: %w", field, err)
		}
		versions = append(versions, version)
	}
	return versions, nil
}

// LoadTLS builds one configuration for both directions from DIR/ca.pem,
// DIR/NAME.pem and DIR/NAME.key. With a broker, each peer is both client and
// server, so the CA verifies both kinds of peer.
func LoadTLS(dir, name string) (*tls.Config, error) {
	caPEM, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(caPEM) {
		return nil, fmt.Errorf("no certificate in %s", filepath.Join(dir, "ca.pem"))
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		RootCAs:      pool,
		ServerName:   "localhost",
		MinVersion:   tls.VersionTLS12,
	}, nil
}

// Reattach is the JSON form of a plugin.ReattachConfig.
type Reattach struct {
	Protocol        string
	ProtocolVersion int
	Pid             int
	Test            bool
	Addr            ReattachAddr
}

// ReattachAddr is the JSON form of a net.Addr.
type ReattachAddr struct {
	Network string
	String  string
}

// NewReattach copies a library value into its JSON form.
func NewReattach(config *plugin.ReattachConfig) Reattach {
	return Reattach{
		Protocol:        string(config.Protocol),
		ProtocolVersion: config.ProtocolVersion,
		Pid:             config.Pid,
		Test:            config.Test,
		Addr:            ReattachAddr{Network: config.Addr.Network(), String: config.Addr.String()},
	}
}

// ParseReattach reads the JSON form into a library value.
func ParseReattach(text string) (*plugin.ReattachConfig, error) {
	var parsed Reattach
	if err := json.Unmarshal([]byte(text), &parsed); err != nil {
		return nil, fmt.Errorf("bad reattach JSON: %w", err)
	}
	var addr net.Addr
	var err error
	switch parsed.Addr.Network {
	case "unix":
		addr, err = net.ResolveUnixAddr("unix", parsed.Addr.String)
	case "tcp":
		addr, err = net.ResolveTCPAddr("tcp", parsed.Addr.String)
	default:
		err = fmt.Errorf("unknown network %q", parsed.Addr.Network)
	}
	if err != nil {
		return nil, fmt.Errorf("bad reattach address: %w", err)
	}
	return &plugin.ReattachConfig{
		Protocol:        plugin.Protocol(parsed.Protocol),
		ProtocolVersion: parsed.ProtocolVersion,
		Pid:             parsed.Pid,
		Test:            parsed.Test,
		Addr:            addr,
	}, nil
}

// Pattern makes the bytes that Kit.BigPayload answers with: byte i is
// (i ^ (i >> 8) ^ seed) & 0xff.
func Pattern(n, seed uint32) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(uint32(i) ^ uint32(i)>>8 ^ seed)
	}
	return data
}
