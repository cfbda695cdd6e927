// Generates the certificates and keys in this directory: `go run make.go`. They are for tests only.
//
// All certificates are valid from 2020 to 2120, unless their names say otherwise, so that the tests do not depend on the date.
// The P-521 certificate has the form of those that go-plugin generates when it starts.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log"
	"math/big"
	"net"
	"os"
	"time"
)

func year(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func write(name, label string, der []byte) {
	text := pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
	if err := os.WriteFile(name, text, 0o644); err != nil {
		log.Fatal(err)
	}
}

// An ordinary leaf: not an authority, both roles, the local names.
func leaf(from, to int) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))),
		Subject:               pkix.Name{CommonName: "localhost"},
		NotBefore:             year(from),
		NotAfter:              year(to),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
}

// The certificate of go-plugin's AutoMTLS.
func goPlugin() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))),
		Subject:               pkix.Name{Organization: []string{"HashiCorp"}, CommonName: "localhost"},
		NotBefore:             year(2020),
		NotAfter:              year(2120),
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment |
			x509.KeyUsageKeyAgreement | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"},
	}
}

func selfSigned(name string, template *x509.Certificate, key crypto.Signer) {
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	write(name+".cert.pem", "CERTIFICATE", der)
}

func main() {
	p256 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	selfSigned("p256", leaf(2020, 2120), p256)
	write("p256.pkcs8.pem", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p256)))
	write("p256.sec1.pem", "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p256)))
	selfSigned("expired", leaf(2020, 2021), p256)
	selfSigned("not-yet-valid", leaf(2119, 2120), p256)

	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	// pyvider signs with SHA-256 on every curve.
	template := leaf(2020, 2120)
	template.SignatureAlgorithm = x509.ECDSAWithSHA256
	selfSigned("p384", template, p384)
	write("p384.pkcs8.pem", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p384)))
	write("p384.sec1.pem", "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p384)))

	p521 := must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	selfSigned("go-plugin-p521", goPlugin(), p521)
	write("go-plugin-p521.sec1.pem", "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p521)))
	write("go-plugin-p521.pkcs8.pem", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p521)))
	message := []byte("signed by Go")
	sum256, sum384, sum512 := sha256.Sum256(message), sha512.Sum384(message), sha512.Sum512(message)
	for name, digest := range map[string][]byte{"sha256": sum256[:], "sha384": sum384[:], "sha512": sum512[:]} {
		signature := must(ecdsa.SignASN1(rand.Reader, p521, digest))
		if err := os.WriteFile("go-plugin-p521."+name+".signature", signature, 0o644); err != nil {
			log.Fatal(err)
		}
	}
	point := must(p521.PublicKey.Bytes())
	if err := os.WriteFile("go-plugin-p521.point", point, 0o644); err != nil {
		log.Fatal(err)
	}

	_, ed25519Key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	selfSigned("ed25519", leaf(2020, 2120), ed25519Key)
	write("ed25519.pkcs8.pem", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ed25519Key)))

	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	selfSigned("rsa2048", leaf(2020, 2120), rsaKey)
	write("rsa2048.pkcs8.pem", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(rsaKey)))
	write("rsa2048.pkcs1.pem", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))
}
