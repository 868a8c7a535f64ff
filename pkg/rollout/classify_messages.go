package rollout

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const remedyRun = "see that the image has the command that the container runs, and that its mounts and user fit it"

// The registries' and runtimes' words, in lower case. Those that may pass go first: a rate limit is also called a denial.
var (
	mayPass = regexp.MustCompile(`toomanyrequests|rate limit|\b429\b|timed?[ -]?out|deadline exceeded|tls handshake|x509|connection (refused|reset)|` +
		`no such host|server misbehaving|temporary failure|\b50[0-9]\b|service unavailable|internal server error|eof\b|no route to host|network is unreachable`)
	noAccess = regexp.MustCompile(`unauthorized|access denied|pull access|\bdenied\b|authentication required|no basic auth|\b40[13]\b|forbidden`)
	noImage  = regexp.MustCompile(`not found|manifest unknown|manifest for .* not|name unknown|no match for platform|\b404\b|does not exist`)
)

// imageSymptom is of a container whose image is not there.
func (j judge) imageSymptom(c container, waiting *corev1.ContainerStateWaiting) symptom {
	image := c.image()
	make := func(kind CauseKind, p patience, message, remedy, format string, args ...any) symptom {
		cause := c.cause(kind, format, args...)
		cause.Message, cause.Remedy = PlainText(message), remedy
		return symptom{cause: cause, patience: p}
	}
	const uses = "correct the image in the Flow (`uses`), or map it with --image EXECUTOR=IMAGE"
	switch waiting.Reason {
	case "InvalidImageName":
		return make(CauseImage, atOnce, waiting.Message, uses, "`%s` is no valid name of an image", image)
	case "ErrImageNeverPull":
		return make(CauseImage, atOnce, waiting.Message, "load the image onto the nodes, or let the cluster pull it", "image `%s` is not on the node, and may not be pulled", image)
	}
	message := j.past.pull(c.pod.UID, c.Name, pullMessage(c, waiting))
	// The name itself may have any of the words in it.
	words := strings.ToLower(message)
	if name := strings.ToLower(c.image()); name != "" {
		words = strings.ReplaceAll(words, name, "")
	}
	missing, refused := noImage.MatchString(words), noAccess.MatchString(words)
	const access = "give the pods a pull secret: `kubectl create secret docker-registry`, then name it in the imagePullSecrets of their service account"
	switch {
	case mayPass.MatchString(words), !missing && !refused:
		return make(CauseImagePull, never, message, "the kubelet goes on trying; see that the nodes reach the registry",
			"cannot pull image `%s` yet%s", image, detail("", firstClause(message, image)))
	case missing && refused:
		return make(CauseImage, lasting, message, uses+"; if it is private, "+access, "image `%s` not found, or no access to it", image)
	case refused:
		return make(CauseImage, lasting, message, access, "no access to image `%s`", image)
	default:
		return make(CauseImage, lasting, message, uses+"; see that it was pushed, and for the nodes' platform", "image `%s` not found", image)
	}
}

// pullMessage is what is known of a failed pull: from the container's state, or from the kubelet's event where that only says
// that it waits.
func pullMessage(c container, waiting *corev1.ContainerStateWaiting) string {
	message := waiting.Message
	if waiting.Reason == "ImagePullBackOff" {
		// Kubelets before 1.32 only say: Back-off pulling image "NAME".
		rest := strings.TrimPrefix(message, fmt.Sprintf("Back-off pulling image %q", c.image()))
		if strings.Trim(rest, ": ") == "" {
			message = ""
		}
	}
	if message != "" {
		return message
	}
	var last time.Time
	for _, e := range eventsOf(c.events, c.pod.UID, "Failed") {
		if aboutContainer(e, c.Name) && strings.HasPrefix(e.Message, "Failed to pull image") && !lastSeen(e).Before(last) {
			message, last = e.Message, lastSeen(e)
		}
	}
	return message
}

// firstClause is the end of a chain of wrapped errors, which says most, without the image's name.
func firstClause(message, image string) string {
	clauses := strings.Split(strings.ReplaceAll(message, image, "IMAGE"), ": ")
	if len(clauses) > 2 {
		clauses = clauses[len(clauses)-2:]
	}
	return strings.ReplaceAll(strings.Join(clauses, ": "), "IMAGE", image)
}

var (
	missingKey    = regexp.MustCompile(`couldn't find key (\S+) in (Secret|ConfigMap) (?:\S+/)?(\S+)`)
	missingObject = regexp.MustCompile(`(?i)\b(secret|configmap) "([^"]+)" not found`)
)

// missingReference names the Secret or ConfigMap that a message misses.
func missingReference(message string) (summary, remedy string, found bool) {
	if m := missingKey.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("%s `%s` has no key `%s`", m[2], PlainText(m[3]), PlainText(m[1])),
			fmt.Sprintf("add the key to it, or correct its name in the Flow; `kubectl describe %s %s` lists those that there are", strings.ToLower(m[2]), PlainText(m[3])), true
	}
	if m := missingObject.FindStringSubmatch(message); m != nil {
		kind := map[string]string{"secret": "Secret", "configmap": "ConfigMap"}[strings.ToLower(m[1])]
		return fmt.Sprintf("there is no %s `%s`", kind, PlainText(m[2])), "create it in the Flow's namespace, or correct its name in the Flow", true
	}
	return "", "", false
}

// configSymptom is of a container that refers to what is not there.
func configSymptom(c container, waiting *corev1.ContainerStateWaiting) symptom {
	if strings.Contains(waiting.Message, "failed to sync") && strings.Contains(waiting.Message, "cache") {
		return symptom{cause: c.cause(CauseConfig, "the node has not read its Secrets and ConfigMaps yet")}
	}
	summary, remedy, found := missingReference(waiting.Message)
	if !found {
		summary, remedy = strings.TrimPrefix("cannot be configured"+detail("", waiting.Message), ": "), remedyRun
	}
	cause := c.cause(CauseConfig, "%s", summary)
	if found {
		cause.Message = PlainText(waiting.Message)
	}
	cause.Remedy = remedy
	return symptom{cause: cause, patience: lasting}
}

// runSymptom is of a container that the runtime cannot create or start. Exit code 128 is the runtime's for what may be a
// passing trouble of its own: a loop of it is a crash loop.
func runSymptom(c container, waiting *corev1.ContainerStateWaiting) symptom {
	text := "cannot be run"
	if waiting.Reason != "RunContainerError" && waiting.Reason != "CreateContainerError" {
		text += ": " + PlainText(waiting.Reason)
	}
	cause := c.cause(CauseRun, "%s", text+detail("", waiting.Message))
	cause.Remedy = remedyRun
	s := symptom{cause: cause, patience: lasting}
	if last := c.lastRun(); last != nil && last.ExitCode == 128 {
		s.patience = never
	}
	return s
}

var (
	overQuota   = regexp.MustCompile(`exceeded quota: ([^,\s]+), (.*)`)
	quotaNeeds  = regexp.MustCompile(`failed quota: ([^:\s]+): (must specify .*)`)
	podSecurity = regexp.MustCompile(`violates PodSecurity "([^"]+)": (.*)`)
	webhookSaid = regexp.MustCompile(`admission webhook "([^"]+)" denied the request: ?(.*)`)
	noAccount   = regexp.MustCompile(`error looking up service account [^:]*: serviceaccount "([^"]+)" not found`)
)

// createSymptom is of a workload whose controller cannot make pods; message is the API server's.
func createSymptom(message string) symptom {
	message = PlainText(message)
	cause := Cause{Kind: CauseRefused, Summary: "cannot create pods: " + message, Remedy: "see who refuses it: the message is the API server's own"}
	if m := overQuota.FindStringSubmatch(message); m != nil {
		cause = Cause{Kind: CauseQuota, Summary: fmt.Sprintf("quota `%s` exceeded: %s", m[1], m[2]), Message: message,
			Remedy: fmt.Sprintf("raise the quota, or ask for less (`replicas`, `resources`); `kubectl describe quota %s` shows what is used", m[1])}
		if _, limit, ok := strings.Cut(m[2], "limited: "); ok {
			cause.Limit = limit
		}
	} else if m := quotaNeeds.FindStringSubmatch(message); m != nil {
		cause = Cause{Kind: CauseQuota, Summary: fmt.Sprintf("quota `%s` refuses pods that do not say what they need: %s", m[1], m[2]), Message: message,
			Remedy: "say it with `resources` of the executor, or have the namespace's LimitRange say it"}
	} else if m := podSecurity.FindStringSubmatch(message); m != nil {
		cause = Cause{Kind: CauseRefused, Summary: fmt.Sprintf("PodSecurity `%s` refuses the pods: %s", m[1], m[2]), Message: message,
			Remedy: "the namespace's label pod-security.kubernetes.io/enforce decides; the pods need what the message names, or another level"}
	} else if m := webhookSaid.FindStringSubmatch(message); m != nil {
		cause = Cause{Kind: CauseRefused, Summary: fmt.Sprintf("webhook `%s` refuses the pods: %s", m[1], m[2]), Message: message,
			Remedy: "a policy of the cluster refuses them: do what the message says, or ask who runs the webhook"}
	} else if m := noAccount.FindStringSubmatch(message); m != nil {
		cause = Cause{Kind: CauseRefused, Summary: fmt.Sprintf("there is no service account `%s`", m[1]), Message: message,
			Remedy: fmt.Sprintf("create it: `kubectl create serviceaccount %s`", m[1])}
	}
	return symptom{cause: cause, patience: lasting}
}

var (
	nodesAvailable = regexp.MustCompile(`^0/(\d+) nodes are available: (.*)`)
	insufficient   = regexp.MustCompile(`(\d+) Insufficient (\S+?)[,.]? `)
)

// unschedulable is of a pod that no node takes. A node may be on its way: only time makes it a failure.
func unschedulable(p *corev1.Pod) (symptom, bool) {
	for _, c := range p.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse || c.Reason != corev1.PodReasonUnschedulable {
			continue
		}
		message := PlainText(c.Message)
		cause := Cause{Kind: CauseUnschedulable, Pods: 1, Pod: p.Name, Summary: "unschedulable: " + message,
			Remedy: "add a node that fits, or ask for less; an autoscaler may be at it"}
		if resource, nodes, found := missingDevice(message); found {
			cause.Summary, cause.Message = fmt.Sprintf("0/%s nodes have %s free", nodes, resource), message
			cause.Remedy = fmt.Sprintf("add a node with %s (and its device plugin), or free one; an autoscaler may be at it", resource)
		}
		return symptom{cause: cause}, true
	}
	return symptom{}, false
}

// missingDevice names the extended resource, a GPU for one, that the scheduler finds on no node or on none that it may use.
func missingDevice(message string) (resource, nodes string, found bool) {
	m := nodesAvailable.FindStringSubmatch(message)
	if m == nil {
		return "", "", false
	}
	for _, i := range insufficient.FindAllStringSubmatch(m[2]+" ", -1) {
		if strings.Contains(i[2], "/") {
			return i[2], m[1], true
		}
	}
	return "", "", false
}

// volumeSymptom is of a pod whose containers wait for a volume, which only events tell.
func volumeSymptom(p *corev1.Pod, events []*corev1.Event) (symptom, bool) {
	var newest *corev1.Event
	for _, e := range eventsOf(events, p.UID, "FailedMount", "FailedAttachVolume", "FailedMapVolume") {
		if newest == nil || lastSeen(e).After(lastSeen(newest)) {
			newest = e
		}
	}
	creating := false
	for _, c := range p.Status.ContainerStatuses {
		creating = creating || c.State.Waiting != nil && c.State.Waiting.Reason == "ContainerCreating"
	}
	for _, c := range p.Status.InitContainerStatuses {
		creating = creating || c.State.Waiting != nil && c.State.Waiting.Reason == "PodInitializing" && c.RestartCount == 0 && len(p.Status.InitContainerStatuses) > 0
	}
	if newest == nil || !creating {
		return symptom{}, false
	}
	cause := Cause{Kind: CauseVolume, Pods: 1, Pod: p.Name, Summary: "cannot mount a volume" + detail("", newest.Message),
		Remedy: "see that what the volume is made from exists and that the node reaches it"}
	s := symptom{cause: cause}
	if summary, remedy, found := missingReference(newest.Message); found && !strings.Contains(newest.Message, "failed to sync") {
		s.cause.Summary, s.cause.Message, s.cause.Remedy = summary+", which a volume is made from", PlainText(newest.Message), remedy
		s.patience = lasting
	}
	return s, true
}
