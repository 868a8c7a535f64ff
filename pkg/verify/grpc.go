package verify

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// The methods of Jina's services that are called, all of them with an empty message.
const (
	methodDryRun    = "/jina.JinaGatewayDryRunRPC/dry_run"
	methodStatus    = "/jina.JinaInfoRPC/_status"
	methodEndpoints = "/jina.JinaDiscoverEndpointsRPC/endpoint_discovery"
)

// gRPC's status codes that make a difference here.
const (
	grpcOK            = 0
	grpcUnimplemented = 12
	grpcUnavailable   = 14
)

// maxAnswer is the longest answer that is read, in bytes: an executor's status and the schemas of its endpoints fit.
const maxAnswer = 4 << 20

var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)

// rpcError is a call that a server has answered with an error.
type rpcError struct {
	code    int
	message string
}

func (e *rpcError) Error() string {
	if e.message == "" {
		return fmt.Sprintf("gRPC status %d", e.code)
	}
	return fmt.Sprintf("%s (gRPC status %d)", plain(e.message), e.code)
}

// call calls a gRPC method with an empty message and returns the answer's bytes.
//
// This is all of gRPC that three calls without arguments need, over the HTTP/2 of the standard library, as
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md has it. google.golang.org/grpc starts as fast (`version` takes
// 10 ms with it and without) but makes the plugin 2.0 MB (3.7 %) larger, and has connections, balancers and resolvers of its own,
// of which one connection that is given needs none.
func (l *line) call(ctx context.Context, method string) ([]byte, error) {
	const emptyMessage = "\x00\x00\x00\x00\x00" // not compressed, of length 0
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.base+method, bytes.NewReader([]byte(emptyMessage)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("Te", "trailers")
	response, err := l.do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it speaks no gRPC: HTTP status %s", plain(response.Status))
	}
	if len(body) > maxAnswer { // its status comes behind what was not read
		return nil, errTooLong
	}
	if err := statusOf(response); err != nil {
		return nil, err
	}
	return unframe(body)
}

// statusOf is the error of a call, from the trailer or, when there was nothing else to say, the header.
func statusOf(response *http.Response) error {
	from := response.Trailer
	if from.Get("Grpc-Status") == "" {
		from = response.Header
	}
	code, err := strconv.Atoi(from.Get("Grpc-Status"))
	if err != nil {
		return fmt.Errorf("it speaks no gRPC: an answer of type %q without a status", plain(response.Header.Get("Content-Type")))
	}
	if code == grpcOK {
		return nil
	}
	message, err := url.PathUnescape(from.Get("Grpc-Message"))
	if err != nil {
		message = from.Get("Grpc-Message")
	}
	return &rpcError{code: code, message: message}
}

// unframe takes the one message out of an answer.
func unframe(body []byte) ([]byte, error) {
	const prefix = 5
	switch {
	case len(body) < prefix:
		return nil, fmt.Errorf("the answer of %d bytes is no message", len(body))
	case body[0] != 0:
		return nil, fmt.Errorf("the answer is compressed, which nobody asked for")
	case uint64(binary.BigEndian.Uint32(body[1:prefix])) != uint64(len(body)-prefix):
		return nil, fmt.Errorf("the answer has %d bytes and says that it has %d", len(body)-prefix, binary.BigEndian.Uint32(body[1:prefix]))
	}
	return body[prefix:], nil
}

// status is jina.StatusProto, as far as it is used.
type status struct {
	failed      bool
	description string
	exception   string
	executor    string
}

// decodeStatus reads a jina.StatusProto: code = 1, description = 2, exception = 3 {name = 1, executor = 4}.
func decodeStatus(b []byte) (status, error) {
	var s status
	err := fields(b, func(number protowire.Number, value []byte, n uint64) error {
		switch number {
		case 1:
			s.failed = n != 0
		case 2:
			s.description = string(value)
		case 3:
			return fields(value, func(number protowire.Number, value []byte, _ uint64) error {
				switch number {
				case 1:
					s.exception = string(value)
				case 4:
					s.executor = string(value)
				}
				return nil
			})
		}
		return nil
	})
	return s, err
}

// decodeVersions reads the map jina = 1 of a jina.JinaInfoProto. The map envs = 2 is left alone: there may be secrets in it.
func decodeVersions(b []byte) (Versions, error) {
	var v Versions
	err := fields(b, func(number protowire.Number, entry []byte, _ uint64) error {
		if number != 1 {
			return nil
		}
		var key, value string
		err := fields(entry, func(number protowire.Number, text []byte, _ uint64) error {
			switch number {
			case 1:
				key = string(text)
			case 2:
				value = string(text)
			}
			return nil
		})
		v.set(key, value)
		return err
	})
	return v, err
}

// defaultEndpoint is the endpoint that takes requests for endpoints that an executor does not have.
const defaultEndpoint = "/default"

// decodeEndpoints reads whether a jina.EndpointsProto, endpoints = 1, has the default endpoint.
func decodeEndpoints(b []byte) (hasDefault bool, err error) {
	err = fields(b, func(number protowire.Number, value []byte, _ uint64) error {
		hasDefault = hasDefault || number == 1 && string(value) == defaultEndpoint
		return nil
	})
	return hasDefault, err
}

// fields calls f for each field of a message: with the bytes of a length-delimited one, with the number of a varint; others are
// skipped.
func fields(b []byte, f func(number protowire.Number, value []byte, n uint64) error) error {
	for len(b) > 0 {
		number, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var value []byte
		var n uint64
		switch kind {
		case protowire.BytesType:
			value, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		default:
			size = protowire.ConsumeFieldValue(number, kind, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if kind != protowire.BytesType && kind != protowire.VarintType {
			continue
		}
		if err := f(number, value, n); err != nil {
			return err
		}
	}
	return nil
}
