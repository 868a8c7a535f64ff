// Package statedir is the directory that one embedded cluster lives in: who uses it, what the cluster was started
// with, and where its files are.
package statedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

const (
	// lockFile marks a directory as a cluster's; the process that holds the lock on it writes its id into it.
	lockFile     = "jina-testcluster.lock"
	settingsFile = "cluster.json"
	// logFile is made by `start --detach` before the process that takes the directory runs.
	logFile = "start.log"
)

// Settings are what a cluster was started with. A start on the same directory takes those it is not told otherwise.
type Settings struct {
	// Port of the API server on 127.0.0.1; 0 until one was chosen.
	Port int `json:"port"`
	// InjectorPort and MetricsPort are kept too: objects in etcd name them.
	InjectorPort int `json:"injectorPort,omitempty"`
	MetricsPort  int `json:"metricsPort,omitempty"`
	// Nodes that are simulated.
	Nodes int `json:"nodes"`
	// ReadyDelay is the time until a pod is Ready that says nothing itself.
	ReadyDelay time.Duration `json:"readyDelay,omitempty"`
	// Linkerd and Metrics say whether the stand-in injector and metrics.k8s.io are there.
	Linkerd bool `json:"linkerd,omitempty"`
	Metrics bool `json:"metrics,omitempty"`
	// NoControllers leaves out the controller manager, the scheduler and the simulated nodes: nothing but the API server
	// acts on what is stored.
	NoControllers bool `json:"noControllers,omitempty"`
	// AuditLog is a file; relative to the state directory; empty for none.
	AuditLog string `json:"auditLog,omitempty"`
}

// InUseError says that a cluster runs on the directory.
type InUseError struct {
	Path string
	// PID of the process, 0 when it has not written it yet.
	PID int
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("a cluster runs on %s (process %d): stop it first, or choose another directory", e.Path, e.PID)
}

// Dir is a state directory that this process holds.
type Dir struct {
	path string
	lock *fileutil.LockedFile
}

// Open makes the directory if need be and takes it. The error is *InUseError when another process has it. A directory
// that holds other things than a cluster's state is refused: what is given back is removed as a whole.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := refuseStrange(path); err != nil {
		return nil, err
	}
	lock, err := fileutil.TryLockFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fileutil.ErrLocked) {
		return nil, &InUseError{Path: path, PID: readPID(path)}
	}
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	d := &Dir{path: path, lock: lock}
	if err := d.writePID(); err != nil {
		return nil, errors.Join(fmt.Errorf("state directory: %w", err), lock.Close())
	}
	return d, nil
}

func refuseStrange(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() == lockFile {
			return nil
		}
	}
	for _, e := range entries {
		if e.Name() != logFile {
			return fmt.Errorf("%s is not empty and holds no cluster's state (it has %s): choose another directory", path, e.Name())
		}
	}
	return nil
}

func (d *Dir) writePID() error {
	if err := d.lock.Truncate(0); err != nil {
		return err
	}
	_, err := d.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func readPID(path string) int {
	b, err := os.ReadFile(filepath.Join(path, lockFile))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

// Holder is the process whose cluster runs on path, 0 when none does.
func Holder(path string) (int, error) {
	lock, err := fileutil.TryLockFile(filepath.Join(path, lockFile), os.O_RDWR, 0o600)
	switch {
	case errors.Is(err, fileutil.ErrLocked):
		pid := readPID(path)
		if pid == 0 {
			return 0, fmt.Errorf("a cluster is just starting on %s", path)
		}
		return pid, nil
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return 0, lock.Close()
}

// Path of the directory, absolute.
func (d *Dir) Path() string { return d.path }

// Join is the path of something in the directory; an absolute name stays what it is.
func (d *Dir) Join(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.path, name)
}

// Kubeconfig is the path of the administrator's kubeconfig in a state directory.
func Kubeconfig(path string) string { return filepath.Join(path, "admin.kubeconfig") }

// PKI is the path of the certificates in a state directory.
func PKI(path string) string { return filepath.Join(path, "pki") }

// Log is where a detached cluster writes what it would have written to standard error.
func Log(path string) string { return filepath.Join(path, logFile) }

// Settings are those of the earlier run; false when there was none.
func (d *Dir) Settings() (Settings, bool, error) {
	var s Settings
	b, err := os.ReadFile(d.Join(settingsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, false, fmt.Errorf("%s: %w", d.Join(settingsFile), err)
	}
	return s, true, nil
}

// Save records the settings for the next start.
func (d *Dir) Save(s Settings) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	next := d.Join(settingsFile + ".new")
	if err := os.WriteFile(next, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(next, d.Join(settingsFile))
}

// Close gives the directory back; so does the end of the process. The state stays.
func (d *Dir) Close() error { return d.lock.Close() }

// Remove deletes the directory and all state in it, and gives it back.
func (d *Dir) Remove() error {
	// Renamed first: who opens the same path meanwhile makes a new directory instead of losing files of it.
	gone := fmt.Sprintf("%s.removed-%d", d.path, os.Getpid())
	if err := os.Rename(d.path, gone); err != nil {
		// A mount point cannot be renamed.
		gone = d.path
	}
	return errors.Join(os.RemoveAll(gone), d.lock.Close())
}
