package plan

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestQuorumIsMoreThanHalfOfTheMembers(t *testing.T) {
	for name, c := range map[string]struct {
		role Role
		args []any
		live int64
		want int64
	}{
		"not stateful":                       {RoleExecutor, []any{"executor", "--replicas", "5"}, 5, 0},
		"three members":                      {RoleExecutor, []any{"executor", "--stateful", "--replicas", "3"}, 3, 2},
		"four members":                       {RoleShard, []any{"executor", "--replicas", "4", "--stateful"}, 4, 3},
		"five members, scaled since":         {RoleExecutor, []any{"executor", "--replicas", "5", "--stateful"}, 3, 3},
		"one member":                         {RoleExecutor, []any{"executor", "--replicas", "1", "--stateful"}, 1, 1},
		"without a count":                    {RoleExecutor, []any{"executor", "--stateful"}, 3, 2},
		"a count that is none":               {RoleExecutor, []any{"executor", "--stateful", "--replicas", "x"}, 3, 2},
		"a count that is missing":            {RoleExecutor, []any{"executor", "--stateful", "--replicas"}, 3, 2},
		"a head":                             {RoleHead, []any{"executor", "--stateful", "--replicas", "3"}, 1, 0},
		"a gateway":                          {RoleGateway, []any{"gateway", "--stateful", "--replicas", "3"}, 3, 0},
		"no arguments":                       {RoleExecutor, nil, 3, 0},
		"arguments that are not all of text": {RoleExecutor, []any{"--stateful", int64(3)}, 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			container := map[string]any{"name": "executor"}
			if c.args != nil {
				container["args"] = c.args
			}
			o := &unstructured.Unstructured{Object: map[string]any{
				"metadata": map[string]any{"labels": map[string]any{LabelComponent: string(c.role)}},
				"spec": map[string]any{"replicas": c.live, "template": map[string]any{"spec": map[string]any{
					"containers": []any{map[string]any{"name": "sidecar"}, container},
				}}},
			}}
			if got := Quorum(o); got != c.want {
				t.Errorf("quorum %d, want %d", got, c.want)
			}
		})
	}
}
