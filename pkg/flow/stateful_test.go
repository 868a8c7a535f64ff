package flow

import (
	"strings"
	"testing"
)

func TestPeerPortsBecomeWhatJinaMakesOfThem(t *testing.T) {
	for written, want := range map[string]string{
		"[1, 2, 3]":                      `{"0": [1, 2, 3]}`,
		"[[1, 2, 3]]":                    `{"0": [1, 2, 3]}`,
		"'[1, 2, 3]'":                    `{"0": [1, 2, 3]}`,
		"{0: [1, '2', 3]}":               `{"0": [], "0": [1, 2, 3]}`,
		`'{"0": [1, 2, 3], "1": [4]}'`:   `{"0": [], "0": [1, 2, 3], "1": [4]}`,
		"{1: [1, 2], 0: [3, 4, 5]}":      `{"0": [], "1": [1, 2], "0": [3, 4, 5]}`,
		"{}":                             `{"0": []}`,
		"[{0: [1, 2, 3]}, {0: [4,5,6]}]": `{"0": [], "0": [4, 5, 6]}`,
	} {
		f, problems := flowWith("uses: 'docker://e:1', replicas: 3, peer_ports: " + written)
		if err := problems.Err(); err != nil {
			t.Errorf("%s: %v", written, err)
			continue
		}
		s, _ := f.Executors[0].Args.Lookup("peer_ports")
		if got := strings.Join(s.CommandLine(Coerced), " "); got != "--peer-ports "+want {
			t.Errorf("%s: %s, not %s", written, got, want)
		}
	}
}

func TestConsensusThatCannotBe(t *testing.T) {
	for _, c := range []struct{ arguments, want string }{
		{"stateful: true", "f.yml:3:47: error: executor e is stateful and has one replica: Jina's consensus takes three or more; take stateful away"},
		{"stateful: true, replicas: 2, workspace: /w", "f.yml:3:47: error: executor e is stateful and has 2 replicas"},
		{"stateful: true, replicas: 3", "f.yml:3:47: error: executor e is stateful and has no workspace"},
		{"stateful: true, replicas: 3, workspace: /w, protocol: http", "f.yml:3:91: error: executor e is stateful and speaks HTTP"},
		{"stateful: true, replicas: 3, workspace: /w, shards: 2", "f.yml:3:47: error: executor e is stateful and has 2 shards, but peer_ports for 1"},
		{"stateful: true, replicas: 3, workspace: /w, peer_ports: [1, 2]", "f.yml:3:93: error: executor e has 3 replicas and 2 peer_ports"},
		{"peer_ports: [1, 2]", "f.yml:3:49: error: executor e has one replica and 2 peer_ports"},
		{"peer_ports: []", "f.yml:3:49: error: peer_ports takes ports, not an empty list"},
		{"peer_ports: some", "f.yml:3:49: error: peer_ports takes ports, not \"some\""},
		{"peer_ports: {0: 5}", "f.yml:3:53: error: peer_ports takes a list of ports for each shard, not 5"},
		{"peer_ports: {0: [1.5]}", "f.yml:3:54: error: peer_ports: a port is a whole number, not 1.5"},
	} {
		_, problems := flowWith("uses: 'docker://e:1', " + c.arguments)
		if err := problems.Err(); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v\nnot %s…", c.arguments, err, c.want)
		}
	}
}

func TestInheritedConsensusIsReportedOnce(t *testing.T) {
	_, problems := Parse(Source{Name: "f.yml", Data: []byte("jtype: Flow\nwith: {stateful: true}\nexecutors: [{name: a, uses: 'docker://a:1'}, {name: b, uses: 'docker://b:1'}]")})
	if n := len(problems); n != 1 || problems[0].Position.Line != 2 {
		t.Errorf("%d problems: %v", n, problems)
	}
}

func TestProviderMakesItHTTP(t *testing.T) {
	f, problems := Parse(Source{Name: "f.yml", Data: []byte("jtype: Deployment\nwith: {uses: 'docker://e:1', provider: azure, protocol: [grpc, http], port: [1, 2]}")})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.Executors[0].Args.Texts("protocol", Coerced), " "); got != "HTTP" {
		t.Errorf("protocol is %s", got)
	}
	if want := "f.yml:2:57: warning: protocol has no effect: a server for AZURE speaks HTTP"; !strings.HasPrefix(problems[0].String(), want) {
		t.Errorf("%v\nnot %s…", problems, want)
	}
	_, problems = Parse(Source{Name: "f.yml", Data: []byte("jtype: Deployment\nwith: {uses: 'docker://e:1', provider: azure, port: 8080}")})
	if err, want := problems.Err(), "f.yml:2:53: error: port 8080 is reserved for the server for AZURE"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v\nnot %s…", err, want)
	}
}

func TestVolumesAreTakenApart(t *testing.T) {
	const empty = "on a cluster each replica gets storage of its own, empty at first, at /d"
	for _, c := range []struct{ written, host, mount, warning string }{
		{"/d", "", "/d", ""},
		{"'/host:/d'", "/host", "/d", empty},
		{"'~/x:/d:ro'", "~/x", "/d", `":ro" has no effect`},
		{`'C:\x:/d'`, `C:\x`, "/d", empty},
		{"'/a:/d:cached,z'", "/a", "/d", `":cached,z" has no effect`},
	} {
		f, problems := flowWith("uses: 'docker://e:1', volumes: [" + c.written + "]")
		if err := problems.Err(); err != nil {
			t.Errorf("%s: %v", c.written, err)
			continue
		}
		if v := f.Executors[0].Volumes[0]; v.HostPath != c.host || v.MountPath != c.mount {
			t.Errorf("%s: %+v", c.written, v)
		}
		if c.warning == "" && len(problems) > 0 || c.warning != "" && (len(problems) == 0 || !strings.Contains(problems[0].Message, c.warning)) {
			t.Errorf("%s: %v\nnot %s", c.written, problems, c.warning)
		}
	}
	_, problems := flowWith("uses: 'docker://e:1', volumes: []")
	if err, want := problems.Err(), "f.yml:3:46: error: volumes takes a value or a list of values, not an empty list"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v\nnot %s…", err, want)
	}
}
