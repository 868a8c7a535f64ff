package flow

import (
	"fmt"
	"strings"
	"testing"
)

// flowWith reads a Flow of one executor e with some arguments.
func flowWith(arguments string) (*Flow, Problems) {
	return Parse(Source{Name: "f.yml", Data: []byte("jtype: Flow\nexecutors:\n  - {name: e, " + arguments + "}")})
}

func TestHostsArePairedWithPorts(t *testing.T) {
	for _, c := range []struct{ arguments, want string }{
		{"host: a, port: 1", "[a:1]"},
		{"host: [a, b], port: [1, 2]", "[a:1 b:2]"},
		{"host: 'a, b', port: '1,2'", "[a:1 b:2]"},
		{"host: [a, b], port: 5", "[a:5 b:5]"},
		{"host: a, port: [1, 2]", "[a:1 a:2]"},
		{"host: ['grpcs://a:7', 'b:8', c], port: 9", "[grpcs://a:7 b:8 c:9]"},
		{"host: 'HTTPS://a'", "[https://a:]"},
		{"port: 3", "[0.0.0.0:3]"},
	} {
		f, problems := flowWith("external: true, " + c.arguments)
		if err := problems.Err(); err != nil {
			t.Errorf("%s: %v", c.arguments, err)
			continue
		}
		var hosts []string
		for _, h := range f.Executors[0].Hosts {
			text := h.Name + ":" + h.Port
			if h.Scheme != "" {
				text = h.Scheme + "://" + text
			}
			hosts = append(hosts, text)
		}
		if got := fmt.Sprint(hosts); got != c.want {
			t.Errorf("%s: %s, not %s", c.arguments, got, c.want)
		}
	}
}

func TestHostsThatCannotBeRead(t *testing.T) {
	for _, c := range []struct{ arguments, want string }{
		{"external: true, host: [a, b, c], port: [1, 2]", "f.yml:3:37: error: executor e has 3 hosts and 2 ports"},
		{"external: true, host: [a, b], replicas: 3, port: 1", "f.yml:3:37: error: executor e has 2 hosts or ports and 3 replicas; take replicas away"},
		{"external: true, host: a, port: 1, replicas: 3", "f.yml:3:59: error: executor e is external and has 3 replicas, but one host"},
		{"external: true, host: '[::1]:80'", "f.yml:3:37: error: host of executor e:"},
		{"external: true, host: 'a://b://c'", `f.yml:3:37: error: host of executor e: "a://b://c" has two schemes`},
		{"uses: 'docker://e:1', port: [1, 2], replicas: 3", "f.yml:3:43: error: executor e has 2 hosts or ports and 3 replicas; take host and port away"},
	} {
		_, problems := flowWith(c.arguments)
		if err := problems.Err(); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v\nnot %s…", c.arguments, err, c.want)
		}
	}
}

// TestReferenceForgetsTLS holds what the reference makes of tls beside hosts of several kinds (semantics D18), and what the
// file asks for.
func TestReferenceForgetsTLS(t *testing.T) {
	for _, c := range []struct {
		arguments       string
		reference, asks bool
	}{
		{"host: a, port: 1, tls: true", true, true},
		{"host: 'a:1', tls: true", false, true},
		{"host: ['a:1', 'grpcs://b:2']", true, false},
		{"host: ['grpcs://a:1', 'b:2']", false, false},
		{"host: ['grpcs://a:1', b], port: 2", true, false},
		{"host: 'a:1', ssl_certfile: c, ssl_keyfile: k", true, true},
		{"host: 'a:1', ssl_certfile: c", false, false},
	} {
		f, problems := flowWith("external: true, " + c.arguments)
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		if e := f.Executors[0]; e.ReferenceTLS() != c.reference || e.AsksTLS() != c.asks {
			t.Errorf("%s: the reference %t, asked for %t", c.arguments, e.ReferenceTLS(), e.AsksTLS())
		}
	}
}

func TestExternalExecutorWarnsOfWhatItDoesNotRead(t *testing.T) {
	_, problems := Parse(Source{Name: "f.yml", Data: []byte(`jtype: Flow
with: {timeout_ready: 1000}
executors:
  - {name: e, external: true, host: a, port: 8888, uses: Whatever, shards: 2, env: {"no name": x}, grpc_metadata: {k: v}, volumes: [/d]}
`)})
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%s %d %s", p.Severity, p.Position.Column, strings.Fields(p.Message)[0]))
	}
	if want := "[warning 52 uses warning 68 shards warning 79 env warning 123 volumes]"; fmt.Sprint(got) != want {
		t.Errorf("%v, not %s", got, want)
	}
}

func TestExternalExecutorReducesWhatItNeeds(t *testing.T) {
	_, problems := Parse(Source{Name: "f.yml", Data: []byte(`jtype: Flow
executors:
  - {name: a, uses: 'docker://a:1', needs: gateway}
  - {name: b, uses: 'docker://b:1', needs: gateway}
  - {name: e, external: true, host: x, port: 1, needs: [a, b], disable_reduce: true}
`)})
	want := "f.yml:5:80: error: executor e is external and needs several others"
	if err := problems.Err(); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v\nnot %s…", err, want)
	}
}
