package apply

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-jina/kubectl-jina/internal/testcluster"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// shortLease is as short as a machine that is busy lets it be renewed in time.
const shortLease = 2 * time.Second

func (f fixture) lock(t *testing.T, o LockOptions) *Lock {
	t.Helper()
	if o.Duration == 0 {
		o.Duration = shortLease
	}
	l, err := f.Lock(t.Context(), f.set, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Release)
	return l
}

func (f fixture) lease(t *testing.T) *coordinationv1.Lease {
	t.Helper()
	lease, err := f.Leases.Leases(f.set.Namespace).Get(t.Context(), f.set.ParentRef().Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func TestSecondRunIsToldWhoHasTheLeaseAndGetsItNext(t *testing.T) {
	f := newFixture(t)
	first := f.lock(t, LockOptions{Holder: "up by ann_lee@laptop"})
	if lease := f.lease(t); lease.Labels[plan.LabelFlow] != "f" || lease.ManagedFields[0].Manager != setFieldManager {
		t.Errorf("labels %v, managed by %v", lease.Labels, lease.ManagedFields)
	}
	told := make(chan Holder, 10)
	got := make(chan *Lock)
	go func() {
		second, err := f.Lock(t.Context(), f.set, LockOptions{Holder: "down", Duration: shortLease, Waiting: func(h Holder) { told <- h }})
		if err != nil {
			t.Error(err)
		}
		got <- second
	}()
	holder := <-told
	if holder.Identity != "up by ann-lee@laptop" || time.Since(holder.Since) > time.Hour || holder.Since.IsZero() {
		t.Errorf("told of %+v", holder)
	}
	// It outlives the time of a Lease by far.
	select {
	case <-got:
		t.Fatal("two runs have the Lease at once")
	case <-time.After(2 * shortLease):
	}
	first.Release()
	first.Release()
	second := <-got
	defer second.Release()
	if first.Context().Err() == nil || second.Context().Err() != nil {
		t.Errorf("contexts: first %v, second %v", first.Context().Err(), second.Context().Err())
	}
	if len(told) > 0 {
		t.Errorf("told again: %+v", <-told)
	}
}

func TestWaitForALeaseEndsAndNamesItsHolder(t *testing.T) {
	f := newFixture(t)
	f.lock(t, LockOptions{Holder: "up by ann@laptop"})
	for name, take := range map[string]func() (*Lock, error){
		"by its own limit": func() (*Lock, error) {
			return f.Lock(t.Context(), f.set, LockOptions{Holder: "down", Wait: 300 * time.Millisecond})
		},
		"by the context": func() (*Lock, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			return f.Lock(ctx, f.set, LockOptions{Holder: "down"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := take()
			var held *HeldError
			if !errors.As(err, &held) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "up by ann@laptop, since 2") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestLeaseOfADeadRunIsTakenOver(t *testing.T) {
	f := newFixture(t)
	// A killed run leaves its Lease behind as it is.
	name, second, now := "killed_1", int32(1), metav1.NewMicroTime(time.Now())
	_, err := f.Leases.Leases(f.set.Namespace).Create(t.Context(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: f.set.ParentRef().Name, Labels: map[string]string{plan.LabelManagedBy: plan.FieldManager}},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &second, AcquireTime: &now, RenewTime: &now},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var waited Holder
	l := f.lock(t, LockOptions{Holder: "up", Waiting: func(h Holder) { waited = h }})
	if waited.Identity != "killed" || transitions(f.lease(t)) != 1 {
		t.Errorf("waited for %+v, lease %+v", waited, f.lease(t).Spec)
	}
	if err := l.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Leases.Leases(f.set.Namespace).Get(t.Context(), f.set.ParentRef().Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Lease of a Flow that is gone: %v", err)
	}
}

// stall makes a run stand still, as a laptop does that is closed: none of its requests for the Lease gets through.
type stall struct{ on atomic.Bool }

func (s *stall) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if s.on.Load() && strings.Contains(r.URL.Path, "/leases") {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		return next.RoundTrip(r)
	})
}

func (f fixture) stalling(t *testing.T) (fixture, *stall) {
	t.Helper()
	s := &stall{}
	config := testcluster.Start(t).Config()
	config.Wrap(s.wrap)
	return fixture{clientFor(t, config), f.set}, s
}

func TestRunThatLosesItsLeaseStops(t *testing.T) {
	f := newFixture(t)
	slow, stalled := f.stalling(t)
	l := slow.lock(t, LockOptions{Holder: "slow"})
	objects := f.configMaps(t, 3*parallel)
	state, p := slow.plan(t, objects)
	stalled.on.Store(true)
	f.lock(t, LockOptions{Holder: "quick"})
	stalled.on.Store(false)
	events := 0
	_, err := slow.Run(l.Context(), slow.set, state, p, Options{}, func(Event) {
		if events++; events == 1 {
			<-l.Context().Done()
		}
	})
	var lost *LostError
	var partial *PartialError
	if !errors.As(err, &lost) || lost.Holder.Identity != "quick" || !errors.As(err, &partial) || len(partial.NotApplied) == 0 {
		t.Fatalf("error %v", err)
	}
	if errors.Is(err, context.Canceled) {
		t.Error("a lost Lease looks like an interrupt")
	}
	// Giving back what it no longer has takes nothing from the other.
	l.Release()
	if !strings.HasPrefix(holderOf(f.lease(t)), "quick_") {
		t.Errorf("the holder is %s", holderOf(f.lease(t)))
	}
}

func TestRunThatStalledKeepsALeaseThatNobodyWanted(t *testing.T) {
	f := newFixture(t)
	slow, stalled := f.stalling(t)
	l := slow.lock(t, LockOptions{Holder: "slow"})
	stalled.on.Store(true)
	time.Sleep(2 * shortLease)
	stalled.on.Store(false)
	before := f.lease(t).Spec.RenewTime.Time
	testcluster.Eventually(t, func() error {
		if !f.lease(t).Spec.RenewTime.After(before) {
			return errors.New("not renewed")
		}
		return nil
	})
	if err := context.Cause(l.Context()); err != nil {
		t.Errorf("lost: %v", err)
	}
}

func TestLeaseIsGivenBackAfterAnInterrupt(t *testing.T) {
	f := newFixture(t)
	ctx, interrupt := context.WithCancel(t.Context())
	l, err := f.Lock(ctx, f.set, LockOptions{Holder: "up"})
	if err != nil {
		t.Fatal(err)
	}
	interrupt()
	l.Release()
	if holder := holderOf(f.lease(t)); holder != "" {
		t.Errorf("still held by %s", holder)
	}
}

func TestUserWithoutRightToLeasesIsToldSo(t *testing.T) {
	f := newFixture(t)
	c := testcluster.Start(t)
	config, err := clientcmd.BuildConfigFromFlags("", c.User(t, f.set.Namespace+"-nobody"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = clientFor(t, config).Lock(t.Context(), f.set, LockOptions{Holder: "up"})
	var none *NoLeaseError
	if !errors.As(err, &none) || !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "leases.coordination.k8s.io in namespace "+f.set.Namespace) {
		t.Errorf("error %v", err)
	}
}

func TestLeaseInANamespaceThatIsNotThereIsAnError(t *testing.T) {
	f := newFixture(t)
	f.set.Namespace = "no-such-namespace"
	if _, err := f.Lock(t.Context(), f.set, LockOptions{Holder: "up"}); !apierrors.IsNotFound(err) {
		t.Errorf("error %v", err)
	}
}

func TestLeaseOfSomethingElseIsLeftAlone(t *testing.T) {
	f := newFixture(t)
	name, hour := "an-operator", int32(3600)
	_, err := f.Leases.Leases(f.set.Namespace).Create(t.Context(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: f.set.ParentRef().Name}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &hour},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Lock(t.Context(), f.set, LockOptions{Holder: "up"})
	var conflict *ConflictError
	if !errors.As(err, &conflict) || !strings.Contains(err.Error(), "Lease/jina-f") || !strings.Contains(err.Error(), "an-operator") {
		t.Errorf("error %v", err)
	}
	if holderOf(f.lease(t)) != name {
		t.Errorf("taken from %s", name)
	}
}
