// Package portforward opens connections to the ports of pods through the API server, as `kubectl port-forward` does, but
// inside the process: a connection is a net.Conn, with or without a listening port on this machine.
package portforward
