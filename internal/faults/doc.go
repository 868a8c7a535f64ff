// Package faults holds the plugin to what it promises when things fail: killed runs, an API server that loses answers,
// restarts or refuses, ten runs at once. It has nothing but tests; internal/faultproxy makes the faults.
//
// Each test prints how many faults there were. `make test` runs a seeded few, `make soak-faults` many:
//
//	make soak-faults KILL_POINTS=200 KILL_SEED=7
package faults
