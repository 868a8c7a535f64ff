package plan

// Labels that the plugin puts on every object and pod of a Flow, on top of the reference's own.
// The app.kubernetes.io ones are Kubernetes' recommended labels
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/).
const (
	LabelFlow     = "jina.ai/flow"
	LabelExecutor = "jina.ai/executor"
	LabelShard    = "jina.ai/shard"

	LabelName      = "app.kubernetes.io/name"
	LabelInstance  = "app.kubernetes.io/instance"
	LabelComponent = "app.kubernetes.io/component"
	LabelPartOf    = "app.kubernetes.io/part-of"
	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelVersion   = "app.kubernetes.io/version"
)

// FieldManager owns the fields that the plugin applies.
const FieldManager = "kubectl-jina"

// ScaleFieldManager owns the replicas that the scale command wrote.
const ScaleFieldManager = "kubectl-jina-scale"

// RestartFieldManager owns the annotation on the pod template that the restart command wrote.
const RestartFieldManager = "kubectl-jina-restart"

// PauseFieldManager owns the record of a paused Flow on the apply set's parent, so that no up takes it away.
const PauseFieldManager = "kubectl-jina-pause"

// LabelJinaDeployment is the reference's own label on pods: the name of the executor as it is written in the file, or gateway.
const LabelJinaDeployment = "jina_deployment_name"
