package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

const (
	// LeaseDuration is how long after its last sign of life a run keeps the Flow's Lease. A run that was killed is
	// taken over after this time.
	LeaseDuration = 15 * time.Second
	// leaseRelease bounds giving the Lease back: a run that is interrupted has to end soon, whatever the API server does.
	leaseRelease = time.Second
)

// holderSeparator stands between what a run calls itself and what makes it unique.
const holderSeparator = "_"

// Holder is the run that has the Lease of a Flow.
type Holder struct {
	// Identity is what the run calls itself, see LockOptions.
	Identity string
	// Since when it has the Lease.
	Since time.Time
}

// LockOptions of taking the Lease of a Flow.
type LockOptions struct {
	// Holder is what this run calls itself, for the messages of others: the command, the user, the machine.
	Holder string
	// Waiting is called once when another run has the Lease. Nil: nobody is told.
	Waiting func(Holder)
	// Wait is how long to wait for the Lease; 0: until the context ends.
	Wait time.Duration
	// Duration of the Lease, at least a second; 0: LeaseDuration.
	Duration time.Duration
}

// Lock is the Lease of a Flow, which this run has.
type Lock struct {
	ctx   context.Context
	lease *watchedLease
	stop  context.CancelFunc
	ended chan struct{}
	once  sync.Once
}

// HeldError says that another run had the Lease until the wait for it ended.
type HeldError struct {
	Flow, Namespace string
	Holder          Holder
	// Err is why the wait ended: a context's error.
	Err error
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("Flow %s in namespace %s is being changed by %s, since %s; nothing was done; run the command again when that has ended",
		e.Flow, e.Namespace, e.Holder.Identity, e.Holder.Since.Format(time.RFC3339))
}

// Unwrap returns the cause.
func (e *HeldError) Unwrap() error { return e.Err }

// NoLeaseError says that the user may not use Leases: runs on one Flow at the same time are then not kept apart.
type NoLeaseError struct {
	Namespace string
	Err       error
}

func (e *NoLeaseError) Error() string {
	return fmt.Sprintf("two runs on one Flow at once are not kept apart: the right to get, create and update leases.coordination.k8s.io in namespace %s is missing (%v)", e.Namespace, e.Err)
}

// Unwrap returns the API server's answer.
func (e *NoLeaseError) Unwrap() error { return e.Err }

// LostError says that another run has taken the Lease over, as it does when this one gave no sign of life for as long as the
// Lease lasts. It is the cause of the end of [Lock.Context].
type LostError struct {
	Flow, Namespace string
	// Holder is who has the Lease now; empty when nobody has.
	Holder Holder
}

func (e *LostError) Error() string {
	by := "another run"
	if e.Holder.Identity != "" {
		by = e.Holder.Identity
	}
	return fmt.Sprintf("stopped: %s has taken over Flow %s in namespace %s, because this run gave no sign of life for too long", by, e.Flow, e.Namespace)
}

// Lock takes the Flow's Lease, which has the name of the set's parent, and keeps it until Release. While another run has it,
// Lock waits; *HeldError when the wait ends before. A user who may not use Leases gets *NoLeaseError.
func (c *Client) Lock(ctx context.Context, set Set, o LockOptions) (*Lock, error) {
	if o.Duration == 0 {
		o.Duration = LeaseDuration
	}
	parent := set.ParentRef()
	held, lose := context.WithCancelCause(ctx)
	// client-go logs each step of an election, which is of no use to a user.
	electing, stop := context.WithCancel(logr.NewContext(held, logr.Discard()))
	w := &watchedLease{
		LeaseInterface: c.Leases.Leases(set.Namespace), set: set, lose: lose, waiting: o.Waiting, acquired: make(chan struct{}),
		patience: o.Duration * 2 / 3,
		identity: strings.ReplaceAll(o.Holder, holderSeparator, "-") + holderSeparator + string(uuid.NewUUID()),
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: parent.Name,
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: parent.Name, Namespace: set.Namespace},
			Client:     w,
			LockConfig: resourcelock.ResourceLockConfig{Identity: w.identity},
			Labels:     map[string]string{plan.LabelFlow: set.Flow, plan.LabelManagedBy: plan.FieldManager},
		},
		LeaseDuration: o.Duration, RenewDeadline: o.Duration * 2 / 3, RetryPeriod: o.Duration * 2 / 15,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) {}, OnStoppedLeading: func() {}},
		// ReleaseOnCancel would also release when renewing has failed for a while, on a record that is not read again: it
		// could be somebody else's by then. Release does it.
	})
	if err != nil {
		stop()
		return nil, err
	}
	l := &Lock{ctx: held, lease: w, stop: stop, ended: make(chan struct{})}
	go l.keep(electing, elector)
	waiting, cancel := held, func() {}
	if o.Wait > 0 {
		waiting, cancel = context.WithTimeout(held, o.Wait)
	}
	defer cancel()
	select {
	case <-w.acquired:
		return l, nil
	case <-waiting.Done():
	}
	cause := context.Cause(held)
	l.Release() // it may have been acquired in this moment
	if !errors.Is(waiting.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, cause
	}
	if other := w.holder(); other.Identity != "" {
		return nil, &HeldError{Flow: set.Flow, Namespace: set.Namespace, Holder: other, Err: waiting.Err()}
	}
	return nil, fmt.Errorf("the Lease %s: %w", parent.Name, context.Cause(waiting))
}

// keep acquires the Lease and renews it. The elector gives up when it could not renew for some time, which alone is no reason
// to stop: as long as nobody has taken the Lease over, watchedLease lets it be renewed later.
func (l *Lock) keep(ctx context.Context, elector *leaderelection.LeaderElector) {
	defer close(l.ended)
	for ctx.Err() == nil {
		elector.Run(ctx)
	}
}

// Context ends with that of Lock, and when the Lease is lost: then with a *LostError as the cause.
func (l *Lock) Context() context.Context { return l.ctx }

// Release gives the Lease back, so that the next run need not wait; also when the context of Lock has ended. It takes a second
// at most, and is of no effect the second time.
func (l *Lock) Release() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), leaseRelease)
	defer cancel()
	// Where it fails, the next run waits until the Lease has run out.
	_ = l.finish(ctx, func(ctx context.Context, lease *coordinationv1.Lease) error {
		nobody, atOnce := "", int32(1)
		lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds = &nobody, &atOnce
		_, err := l.lease.LeaseInterface.Update(ctx, lease, metav1.UpdateOptions{FieldManager: setFieldManager})
		return err
	})
}

// Remove gives the Lease back by deleting it. Call it when the Flow is gone, before Release. It ends with the context of Lock.
func (l *Lock) Remove() error {
	ctx, cancel := context.WithTimeout(l.ctx, l.lease.patience)
	defer cancel()
	err := l.finish(ctx, func(ctx context.Context, lease *coordinationv1.Lease) error {
		return l.lease.LeaseInterface.Delete(ctx, lease.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion}})
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		// Not as its cause: that a wait for the Flow has timed out would be another thing.
		err = fmt.Errorf("everything is gone but the Lease %s, which does no harm; delete it with kubectl: %v", l.lease.ref().Name, err)
	}
	return err
}

// finish ends the renewing and then does the last thing to the Lease, if it is still this run's.
func (l *Lock) finish(ctx context.Context, last func(context.Context, *coordinationv1.Lease) error) (err error) {
	l.once.Do(func() {
		l.stop()
		<-l.ended
		lease := l.lease.last()
		for lease != nil {
			// A renewal whose answer was lost has made the one that we know an old one.
			if err = last(ctx, lease); !apierrors.IsConflict(err) {
				break
			}
			lease, err = l.lease.LeaseInterface.Get(ctx, lease.Name, metav1.GetOptions{})
			if err != nil || holderOf(lease) != l.lease.identity {
				break
			}
		}
		if apierrors.IsNotFound(err) {
			err = nil
		}
		l.lease.lose(context.Canceled)
	})
	return err
}

func holderOf(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// watchedLease is the Flow's Lease as the elector reads and writes it. The elector keeps errors to itself and does not tell a Lease
// that it has lost from one that it could not renew; this sees both.
type watchedLease struct {
	coordinationclient.LeaseInterface
	set      Set
	identity string
	waiting  func(Holder)
	// patience with one request: the elector itself has none to acquire, and a connection may be dead without a sign.
	patience time.Duration
	// lose ends the lock's context.
	lose     context.CancelCauseFunc
	acquired chan struct{}

	mu sync.Mutex
	// own is the Lease as it was last written by this run; nil before.
	own *coordinationv1.Lease
	// other has it, as far as it was seen.
	other Holder
}

// Leases makes it a LeasesGetter, whatever the namespace: there is one Lease only.
func (w *watchedLease) Leases(string) coordinationclient.LeaseInterface { return w }

// Get the Lease, and see whose it is.
func (w *watchedLease) Get(ctx context.Context, name string, o metav1.GetOptions) (*coordinationv1.Lease, error) {
	limited, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	lease, err := w.LeaseInterface.Get(limited, name, o)
	if err == nil {
		return lease, w.see(lease)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !apierrors.IsNotFound(err):
		w.failed(ctx, err)
	case w.own != nil:
		// Whoever deletes it has taken it over before.
		w.lose(w.lost(Holder{}))
	}
	return nil, err
}

// Create the Lease.
func (w *watchedLease) Create(ctx context.Context, lease *coordinationv1.Lease, _ metav1.CreateOptions) (*coordinationv1.Lease, error) {
	limited, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	made, err := w.LeaseInterface.Create(limited, lease, metav1.CreateOptions{FieldManager: setFieldManager})
	return made, w.wrote(ctx, made, err)
}

// Update the Lease.
func (w *watchedLease) Update(ctx context.Context, lease *coordinationv1.Lease, _ metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	limited, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	made, err := w.LeaseInterface.Update(limited, lease, metav1.UpdateOptions{FieldManager: setFieldManager})
	return made, w.wrote(ctx, made, err)
}

func (w *watchedLease) see(lease *coordinationv1.Lease) error {
	identity := holderOf(lease)
	holder := Holder{Identity: identity}
	if i := strings.LastIndex(identity, holderSeparator); i >= 0 {
		holder.Identity = identity[:i]
	}
	if lease.Spec.AcquireTime != nil {
		holder.Since = lease.Spec.AcquireTime.Time
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case lease.Labels[plan.LabelManagedBy] != plan.FieldManager:
		err := &ConflictError{Conflicts: []plan.Conflict{{Ref: w.ref(), Owner: plan.Owner{Manager: "something else than kubectl jina, which " + identity + " holds"}}}}
		w.lose(err)
		return err
	case w.own != nil && (identity != w.identity || transitions(lease) != transitions(w.own)):
		err := w.lost(holder)
		w.lose(err)
		return err
	case w.own == nil && identity != "" && identity != w.identity:
		if w.waiting != nil && w.other.Identity == "" {
			w.waiting(holder)
		}
		w.other = holder
	}
	return nil
}

func (w *watchedLease) wrote(ctx context.Context, lease *coordinationv1.Lease, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		if w.own == nil {
			close(w.acquired)
		}
		w.own = lease.DeepCopy()
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		// Another run was faster: the elector reads it and waits.
	default:
		w.failed(ctx, err)
	}
	return err
}

// failed ends the attempt to get the Lease at an error that waiting does not mend. A Lease that this run has stays its own.
func (w *watchedLease) failed(ctx context.Context, err error) {
	switch {
	case w.own != nil, ctx.Err() != nil:
	case apierrors.IsForbidden(err):
		w.lose(&NoLeaseError{Namespace: w.set.Namespace, Err: err})
	default:
		w.lose(fmt.Errorf("the Lease %s: %w", w.ref().Name, err))
	}
}

func (w *watchedLease) lost(by Holder) error {
	return &LostError{Flow: w.set.Flow, Namespace: w.set.Namespace, Holder: by}
}

func (w *watchedLease) ref() plan.Ref {
	ref := w.set.ParentRef()
	ref.Group, ref.Version, ref.Kind = coordinationv1.SchemeGroupVersion.Group, coordinationv1.SchemeGroupVersion.Version, "Lease"
	return ref
}

func (w *watchedLease) holder() Holder {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.other
}

func (w *watchedLease) last() *coordinationv1.Lease {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.own
}

func transitions(lease *coordinationv1.Lease) int32 {
	if lease.Spec.LeaseTransitions == nil {
		return 0
	}
	return *lease.Spec.LeaseTransitions
}
