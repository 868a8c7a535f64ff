// Package verify finds out whether a Flow answers: by a dry run through its gateway, and by asking its executors themselves.
// It says what that proves and no more.
//
// What each of Jina's servers says was measured with jina 3.34.0 on a cluster:
//
//   - jina.JinaGatewayDryRunRPC/dry_run on a gateway's gRPC port, and GET /dry_run on its WebSocket port, send an empty request
//     through the whole graph. They reach every executor: one replica of it, and of an executor with shards its head and, unless
//     it polls all of them, one shard. They fail when an executor is gone.
//   - GET /dry_run on a gateway's HTTP port is a request without an endpoint. It passes by executors that have no default endpoint
//     (@requests without on=), and says that all is well even when one of those is gone. So behind an HTTP gateway each executor
//     is asked by itself, and for its endpoints; that the gateway reaches one without a default endpoint follows only from a
//     gateway opening no port before every executor has answered it once.
//   - No dry run waits for the answer of a floating executor (jina/serve/runtimes/gateway/graph/topology_graph.py: hanging): it
//     comes back when that one is gone. So it is asked by itself.
//   - The health service and GET / tell of the one server alone.
//   - A gateway whose executor was gone and is back says for some more seconds that it is not: gRPC backs off before it connects
//     again. One failure is no verdict.
//
// Nothing here knows how a pod's port is reached: a [Dialer] is given.
package verify
