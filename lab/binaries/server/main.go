// A server that says what it received: HTTP on 8080 (HTTP/2 too), HTTPS on 8443 where CERT, KEY and, for clients'
// certificates, CA name files, and lines of TCP on 9000. For trying out what a mesh does with requests.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// What an answer shows of its request.
type seen struct {
	Server  string              `json:"server"`
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Query   string              `json:"query,omitempty"`
	Host    string              `json:"host"`
	Version string              `json:"version"`
	From    string              `json:"from"`
	Headers map[string][]string `json:"headers"`
	Body    string              `json:"body,omitempty"`
	TLS     *seenTLS            `json:"tls,omitempty"`
}

type seenTLS struct {
	Version string `json:"version"`
	SNI     string `json:"sni"`
	Client  string `json:"client,omitempty"`
}

const longest = 1 << 20 // bytes of a body that are shown

func main() {
	name := os.Getenv("NAME")
	if name == "" {
		name, _ = os.Hostname()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { answer(w, r, name, 200) })
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.PathValue("code"))
		if err != nil || code < 200 || code > 599 {
			code = 400
		}
		answer(w, r, name, code)
	})
	mux.HandleFunc("/delay/{seconds}", func(w http.ResponseWriter, r *http.Request) {
		seconds, err := strconv.ParseFloat(r.PathValue("seconds"), 64)
		if err != nil || seconds < 0 || seconds > 60 {
			answer(w, r, name, 400)
			return
		}
		select {
		case <-time.After(time.Duration(seconds * float64(time.Second))):
			answer(w, r, name, 200)
		case <-r.Context().Done():
		}
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	logged := func(w http.ResponseWriter, r *http.Request) {
		log.Printf("%s %s %s from %s", r.Proto, r.Method, r.URL, r.RemoteAddr)
		mux.ServeHTTP(w, r)
	}
	go lines(name)
	if cert, key := os.Getenv("CERT"), os.Getenv("KEY"); cert != "" {
		server := &http.Server{Addr: ":8443", Handler: http.HandlerFunc(logged), TLSConfig: clients(os.Getenv("CA"))}
		go func() { log.Fatal(server.ListenAndServeTLS(cert, key)) }()
	}
	server := &http.Server{Addr: ":8080", Handler: http.HandlerFunc(logged), Protocols: protocols}
	log.Fatal(server.ListenAndServe())
}

func clients(file string) *tls.Config {
	if file == "" {
		return &tls.Config{}
	}
	pem, err := os.ReadFile(file)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		log.Fatalf("CA: no certificate in %s: %v", file, err)
	}
	return &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
}

func answer(w http.ResponseWriter, r *http.Request, name string, code int) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, longest))
	found := seen{
		Server: name, Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Host: r.Host,
		Version: r.Proto, From: r.RemoteAddr, Headers: r.Header, Body: string(body),
	}
	if r.TLS != nil {
		found.TLS = &seenTLS{Version: tls.VersionName(r.TLS.Version), SNI: r.TLS.ServerName}
		if len(r.TLS.PeerCertificates) > 0 {
			found.TLS.Client = r.TLS.PeerCertificates[0].Subject.String()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if code == 204 || code == 304 || r.Method == "HEAD" {
		return
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.Encode(found)
}

// Each line comes back with the server's name before it.
func lines(name string) {
	listener, err := net.Listen("tcp", ":9000")
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer connection.Close()
			log.Printf("TCP from %s", connection.RemoteAddr())
			scanner := bufio.NewScanner(connection)
			for scanner.Scan() {
				fmt.Fprintf(connection, "%s %s\n", name, strings.TrimSpace(scanner.Text()))
			}
		}()
	}
}
