//go:build !race

package hostile

// MemoryIsMeasured tells whether what a program allocates says something about it: not under the race detector.
const MemoryIsMeasured = true
