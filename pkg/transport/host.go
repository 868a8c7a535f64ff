package transport

import (
	"context"
	"net/http"
	"sync"

	"k8s.io/client-go/util/flowcontrol"
)

const (
	// headerFairness is on every answer of an API server with priority and fairness, which shares its power among its
	// clients by itself.
	headerFairness = "X-Kubernetes-PF-FlowSchema-UID"
	// What one client may ask for where the server has no such thing.
	throttleQPS   = 50
	throttleBurst = 100
)

// host is what is known of an API server.
type host struct {
	mu sync.Mutex
	// answered anything, accepted a request.
	answered, accepted bool
	fair               bool
	// limiter is nil as long as requests are not limited.
	limiter flowcontrol.RateLimiter
}

// note takes in an answer.
func (h *host) note(resp *http.Response) {
	if resp == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answered = true
	if resp.Header.Get(headerFairness) != "" {
		h.fair, h.limiter = true, nil
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return // what stands before the API server answers so too, and knows nothing of its fairness
	}
	h.accepted = true
	if !h.fair && h.limiter == nil {
		h.limiter = flowcontrol.NewTokenBucketRateLimiter(throttleQPS, throttleBurst)
	}
}

// wait until the next request may be sent.
func (h *host) wait(ctx context.Context) error {
	h.mu.Lock()
	limiter := h.limiter
	h.mu.Unlock()
	if limiter == nil {
		return nil
	}
	return limiter.Wait(ctx)
}

func (h *host) hasAnswered() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answered
}

func (h *host) hasAccepted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.accepted
}
