package rollout

import "context"

// AddLogs adds to the causes of a status the last lines that the containers have written, for a few of the workloads that are not
// healthy. What cannot be read is said in the cause.
func AddLogs(ctx context.Context, c Clients, namespace string, status *FlowStatus) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	read := 0
	add := func(w *WorkloadStatus) {
		if w == nil || w.Healthy || w.Cause == nil || !w.Cause.hasLog() || read == logWorkloads {
			return
		}
		told := *w.Cause
		told.Logs, told.LogNote = lastLines(ctx, c, namespace, told)
		w.Cause = &told
		read++
	}
	add(status.Gateway)
	for i := range status.Executors {
		e := &status.Executors[i]
		add(e.Single)
		add(e.Head)
		for j := range e.Shards {
			add(&e.Shards[j])
		}
	}
}
