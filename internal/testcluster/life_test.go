//go:build !windows

package testcluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// shortDir is a directory in which a socket can be made: t.TempDir has the test's name in its path.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jtc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "state")
}

func requireBuild(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("with -short no cluster is started")
	}
	binary, err := Build(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// ended says whether the process is over. One whose parent has been killed may stay as a zombie, when whatever is
// process 1 of the machine does not look after it.
func ended(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	if runtime.GOOS != "linux" {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(after, "Z")
}

func expectGone(t *testing.T, pid int, dir, host string) {
	t.Helper()
	Eventually(t, func() error {
		if !ended(pid) {
			return fmt.Errorf("process %d is still there", pid)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is still there (%v)", dir, err)
		}
		return nil
	})
	u, err := url.Parse(host)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := net.DialTimeout("tcp", u.Host, time.Second); err == nil {
		conn.Close()
		t.Errorf("somebody still listens on %s", u.Host)
	}
}

func TestClustersRunSideBySide(t *testing.T) {
	t.Parallel()
	a, b := Start(t), StartPrivate(t, Options{Nodes: 1})
	ns := a.Namespace(t)
	if a.Config().Host == b.Config().Host {
		t.Fatalf("both are %s", a.Config().Host)
	}
	if _, err := b.clients.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the namespace of one in the other: %v", err)
	}
	createPod(t, b, "default", pod("p", nil))
	waitForPod(t, b, "default", "p")
	nodes, err := b.clients.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 1 {
		t.Errorf("got %d nodes, want 1: %v", len(nodes.Items), err)
	}
}

func TestWithoutControllersNothingActsOnWhatIsStored(t *testing.T) {
	t.Parallel()
	c := StartPrivate(t, Options{NoControllers: true})
	created, err := c.clients.AppsV1().Deployments("default").Create(t.Context(), deployment("d", 1, nil), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := c.clients.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 0 {
		t.Errorf("got %d nodes, want none: %v", len(nodes.Items), err)
	}
	// A garbage collector would have removed the finalizer, and the object with it.
	foreground := metav1.DeletePropagationForeground
	if err := c.clients.AppsV1().Deployments("default").Delete(t.Context(), "d", metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		t.Fatal(err)
	}
	now, err := c.clients.AppsV1().Deployments("default").Get(t.Context(), "d", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if now.UID != created.UID || now.Status.ObservedGeneration != 0 || now.DeletionTimestamp == nil {
		t.Errorf("a controller has been at work: %+v", now)
	}
}

func TestRestartKeepsPortCertificatesAndObjects(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	before := StartPrivate(t, Options{Dir: dir, Linkerd: true})
	if _, err := before.clients.AppsV1().Deployments("default").Create(t.Context(), deployment("d", 1, map[string]string{inject: "enabled"}), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	waitForDeployment(t, before, "default", "d", 1)
	user := before.User(t, "alice")
	kubeconfig, err := os.ReadFile(before.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	before.Stop(t)

	// The stand-in is not asked for again: the cluster remembers it.
	after := StartPrivate(t, Options{Dir: dir})
	again, err := os.ReadFile(after.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if after.Kubeconfig() != before.Kubeconfig() || string(again) != string(kubeconfig) {
		t.Errorf("the kubeconfig has changed:\n%s\n%s", kubeconfig, again)
	}
	// The clients from before go on, and the users too: same port, same certificates.
	waitForDeployment(t, before, "default", "d", 1)
	if _, err := clientsOf(t, user).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("the user from before: got %v, want forbidden", err)
	}
	scale, err := after.clients.AppsV1().Deployments("default").GetScale(t.Context(), "d", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = 2
	if _, err := after.clients.AppsV1().Deployments("default").UpdateScale(t.Context(), "d", scale, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	waitForDeployment(t, after, "default", "d", 2)
	pods, err := after.clients.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if names(p.Spec.InitContainers) != "linkerd-init linkerd-proxy" {
			t.Errorf("pod %s has not been injected: %s", p.Name, names(p.Spec.InitContainers))
		}
		// The kubelet has another port than before the restart.
		if got, err := logOf(t.Context(), after, "default", p.Name); err != nil || got == "" {
			t.Errorf("log of %s: %q, %v", p.Name, got, err)
		}
	}
}

func TestStopDoesNotWaitForWatchers(t *testing.T) {
	c := StartPrivate(t, Options{})
	w, err := c.clients.CoreV1().Namespaces().Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	// The cluster says that it did not stop when its API server waits for what holds a connection open.
	c.Stop(t)
	for range w.ResultChan() { // it ends, since the connection is closed
	}
}

func TestStopLeavesNoProcessAndNoFile(t *testing.T) {
	t.Parallel()
	c := StartPrivate(t, Options{})
	pid, dir, host := c.process.PID(), c.dir(), c.Config().Host
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	c.Stop(t)
	expectGone(t, pid, dir, host)
}

// A stop may come at any time; an API server that is cancelled too early would end the process before it has removed
// its files.
func TestStopWhileItStartsLeavesNoFile(t *testing.T) {
	t.Parallel()
	binary := requireBuild(t)
	for _, after := range []string{"etcd is up", "the API server is up"} {
		t.Run(after, func(t *testing.T) {
			t.Parallel()
			temporary := filepath.Dir(shortDir(t))
			c := exec.CommandContext(t.Context(), binary, "start", "--linkerd")
			c.Env = append(os.Environ(), "TMPDIR="+temporary)
			progress, err := c.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			var last string
			for lines := bufio.NewScanner(progress); lines.Scan(); last = lines.Text() {
				if !strings.Contains(lines.Text(), after) {
					continue
				}
				if entries, err := os.ReadDir(temporary); err != nil || len(entries) != 1 {
					t.Errorf("while it starts: %v, %v", entries, err)
				}
				if err := c.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			}
			// On a machine that is slow to bring the signal, it was ready before: then it stops without an error.
			if err := c.Wait(); err != nil && last != "error: stopped before the cluster was ready" {
				t.Errorf("it ended with %v and %q", err, last)
			}
			if entries, err := os.ReadDir(temporary); err != nil || len(entries) != 0 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
}

// envHelper makes this test binary a parent that starts a cluster, says where it is, and waits to be killed.
const envHelper = "TESTCLUSTER_HELPER_BINARY"

func TestMain(m *testing.M) {
	if binary := os.Getenv(envHelper); binary != "" {
		os.Exit(waitToBeKilled(binary))
	}
	os.Exit(m.Run())
}

func waitToBeKilled(binary string) int {
	p, err := Run(context.Background(), binary, Options{Nodes: 1})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c, err := connect(p.Kubeconfig)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(p.PID(), c.dir(), c.Config().Host)
	<-p.Exited()
	return 1
}

func TestKilledParentLeavesNoProcessAndNoFile(t *testing.T) {
	t.Parallel()
	binary := requireBuild(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), self)
	parent.Env = append(os.Environ(), envHelper+"="+binary)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(said)
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	if ended(pid) {
		t.Fatalf("process %d, the cluster, does not run", pid)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	expectGone(t, pid, fields[1], fields[2])
}

func command(t *testing.T, binary string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), binary, args...)
	var out, errOut strings.Builder
	c.Stdout, c.Stderr = &out, &errOut
	err = c.Run()
	return out.String(), errOut.String(), err
}

func TestDetachedClusterRunsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	binary, dir := requireBuild(t), shortDir(t)
	out, errOut, err := command(t, binary, "start", "--dir", dir, "--detach", "--nodes", "1")
	if err != nil {
		t.Fatalf("start: %v: %s", err, errOut)
	}
	stopped := false
	defer func() {
		if !stopped {
			_, _, _ = command(t, binary, "stop", "--dir", dir)
		}
	}()
	if want := filepath.Join(dir, "admin.kubeconfig") + "\n"; out != want {
		t.Errorf("start says %q, want %q", out, want)
	}
	c, err := connect(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	createPod(t, c, "default", pod("p", nil))
	if p := waitForPod(t, c, "default", "p"); p.Status.Phase != corev1.PodRunning {
		t.Errorf("the pod is %s", p.Status.Phase)
	}

	_, errOut, err = command(t, binary, "start", "--dir", dir)
	if err == nil || !strings.Contains(errOut, "error: a cluster runs on "+dir) {
		t.Errorf("a second start: %v: %s", err, errOut)
	}

	pid := readPID(t, dir)
	_, errOut, err = command(t, binary, "stop", "--dir", dir, "--rm")
	stopped = err == nil
	if err != nil || errOut != "stopped the cluster on "+dir+"\n" {
		t.Fatalf("stop: %v: %s", err, errOut)
	}
	expectGone(t, pid, dir, c.Config().Host)
	if _, errOut, err = command(t, binary, "stop", "--dir", dir, "--rm"); err != nil || errOut != "no cluster runs on "+dir+"\n" {
		t.Errorf("a second stop: %v: %s", err, errOut)
	}
}

func readPID(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "jina-testcluster.lock"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestStartRefusesDirectoryWithOtherFiles(t *testing.T) {
	t.Parallel()
	binary, dir := requireBuild(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"start", "--dir", dir, "--rm"}, {"stop", "--dir", dir, "--rm"}} {
		_, errOut, err := command(t, binary, args...)
		if err == nil || !strings.Contains(errOut, "holds no cluster's state (it has thesis.txt)") {
			t.Errorf("%s: %v: %s", args[0], err, errOut)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "thesis.txt")); err != nil {
		t.Error(err)
	}
}

func TestStartSaysWhyItFailed(t *testing.T) {
	t.Parallel()
	binary := requireBuild(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	_, errOut, err := command(t, binary, "start", "--dir", shortDir(t), "--port", port, "--detach")
	if err == nil || !strings.Contains(errOut, "port of the API server") || !strings.Contains(errOut, "address already in use") {
		t.Errorf("on a port that is taken: %v: %s", err, errOut)
	}
	if _, err := Run(t.Context(), binary, Options{Dir: filepath.Join(t.TempDir(), strings.Repeat("x", 100))}); err == nil || !strings.Contains(err.Error(), "too long for a socket") {
		t.Errorf("in a directory with a long path: %v", err)
	}
}
