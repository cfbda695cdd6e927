// Generates the certificates in this directory and verifies each of them: `go run make.go`. They are for tests only.
//
// `CURVE.ca.pem` are authorities. They issued `CURVE-HASH.pem` with that hash; its key is `key.pem`. `eku-*.pem` are self-signed or
// in a chain, and have the usages in their names. `verdicts.txt` has the result of x509.Verify for each certificate: name, bundle,
// chain, role, and `yes` or `no`.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log"
	"math/big"
	"os"
	"strings"
	"time"
)

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

func template(name string, ca bool) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC),
		BasicConstraintsValid: true,
		IsCA:                  ca,
		DNSNames:              []string{"localhost"},
	}
}

func issue(cert, by *x509.Certificate, of *ecdsa.PublicKey, with *ecdsa.PrivateKey) *x509.Certificate {
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, cert, by, of, with))))
}

var verdicts strings.Builder

// Go's results for a leaf with this bundle, in both roles.
func judge(name, bundle string, in *x509.Certificate, leaf *x509.Certificate) {
	for role, usage := range map[string]x509.ExtKeyUsage{"server": x509.ExtKeyUsageServerAuth, "client": x509.ExtKeyUsageClientAuth} {
		roots := x509.NewCertPool()
		roots.AddCert(in)
		options := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}}
		if role == "server" {
			options.DNSName = "localhost"
		}
		verdict := "yes"
		if _, err := leaf.Verify(options); err != nil {
			verdict = "no"
		}
		fmt.Fprintf(&verdicts, "%s %s %s %s\n", name, bundle, role, verdict)
	}
}

func main() {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	write("key.pem", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))
	hashes := map[string]x509.SignatureAlgorithm{"sha256": x509.ECDSAWithSHA256, "sha384": x509.ECDSAWithSHA384, "sha512": x509.ECDSAWithSHA512}
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		caKey := must(ecdsa.GenerateKey(curve, rand.Reader))
		ca := issue(template(name, true), template(name, true), &caKey.PublicKey, caKey)
		write(name+".ca.pem", "CERTIFICATE", ca.Raw)
		for hash, algorithm := range hashes {
			leaf := template(name+" "+hash, false)
			leaf.SignatureAlgorithm = algorithm
			issued := issue(leaf, ca, &key.PublicKey, caKey)
			write(name+"-"+hash+".pem", "CERTIFICATE", issued.Raw)
			judge(name+"-"+hash+".pem", name+".ca.pem", ca, issued)
		}
	}
	usages := map[string][]x509.ExtKeyUsage{
		"none":   nil,
		"server": {x509.ExtKeyUsageServerAuth},
		"client": {x509.ExtKeyUsageClientAuth},
		"both":   {x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		"any":    {x509.ExtKeyUsageAny},
		"email":  {x509.ExtKeyUsageEmailProtection},
	}
	for name, usage := range usages {
		for kind, ca := range map[string]bool{"leaf": false, "ca": true} {
			own := template(kind+" "+name, ca)
			own.ExtKeyUsage = usage
			signed := issue(own, own, &key.PublicKey, key)
			file := "eku-" + kind + "-" + name + ".pem"
			write(file, "CERTIFICATE", signed.Raw)
			// Presented as a leaf, and in the bundle.
			judge(file, file, signed, signed)
			if ca {
				child := issue(template("child of "+name, false), signed, &key.PublicKey, key)
				write("eku-child-"+name+".pem", "CERTIFICATE", child.Raw)
				judge("eku-child-"+name+".pem", file, signed, child)
			}
		}
	}
	lines := strings.Split(strings.TrimSpace(verdicts.String()), "\n")
	if err := os.WriteFile("verdicts.txt", []byte(sorted(lines)), 0o644); err != nil {
		log.Fatal(err)
	}
}

func sorted(lines []string) string {
	for i := range lines {
		for j := i + 1; j < len(lines); j++ {
			if lines[j] < lines[i] {
				lines[i], lines[j] = lines[j], lines[i]
			}
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
