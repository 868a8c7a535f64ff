package statedir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestDirectoryHasOneHolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	if pid, err := Holder(path); pid != 0 || err != nil {
		t.Errorf("holder of nothing is %d, %v", pid, err)
	}
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var inUse *InUseError
	if _, err := Open(path); !errors.As(err, &inUse) || inUse.PID != os.Getpid() {
		t.Errorf("a second opening: %v", err)
	}
	if pid, err := Holder(path); pid != os.Getpid() || err != nil {
		t.Errorf("holder is %d, %v", pid, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if pid, err := Holder(path); pid != 0 || err != nil {
		t.Errorf("holder after the end is %d, %v", pid, err)
	}
}

func TestSettingsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, found, err := d.Settings(); found || err != nil {
		t.Errorf("settings of a new directory: %v, %v", found, err)
	}
	want := Settings{Port: 6443, InjectorPort: 1, MetricsPort: 2, Nodes: 3, ReadyDelay: time.Second, Linkerd: true, Metrics: true, NoControllers: true, AuditLog: "audit.log"}
	if err := errors.Join(d.Save(want), d.Close()); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(path); err != nil {
		t.Fatal(err)
	}
	if got, found, err := d.Settings(); got != want || !found || err != nil {
		t.Errorf("got %+v, %v, %v", got, found, err)
	}
	if err := d.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Remove: %v", err)
	}
}

func TestStrangersDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil {
		t.Error("a directory with other files was taken")
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) != 1 {
		t.Errorf("it holds %v now (%v)", entries, err)
	}
}
