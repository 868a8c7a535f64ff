package plan

import (
	"slices"
	"strings"
)

// Protocols of Jina, as the command lines of its containers name them.
const (
	ProtocolGRPC      = protocolGRPC
	ProtocolHTTP      = "HTTP"
	ProtocolWebSocket = "WEBSOCKET"
)

// Endpoint is a port that one of Jina's containers serves.
type Endpoint struct {
	Port     int
	Protocol string
	TLS      bool
}

// ArgumentValue is the word that follows an argument, as --port, on a command line; none is found where there is none.
func ArgumentValue(words []string, argument string) (value string, found bool) {
	if i := slices.Index(words, argument); i >= 0 && i+1 < len(words) {
		return words[i+1], true
	}
	return "", false
}

// Endpoints are the ports that a container with this command line serves, in the order of its protocols; none when it is none
// of Jina's containers.
func Endpoints(args []string) []Endpoint {
	words := make([]any, len(args))
	for i, a := range args {
		words[i] = a
	}
	var served []Endpoint
	for _, e := range servedBy(map[string]any{"args": words}) {
		served = append(served, Endpoint{Port: e.port, Protocol: strings.ToUpper(e.protocol), TLS: e.tls})
	}
	return served
}
