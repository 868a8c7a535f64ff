//go:build race

package hostile

// MemoryIsMeasured tells whether what a program allocates says something about it. The race detector makes sync.Pool forget at random, so
// that whatever is pooled is allocated again and again.
const MemoryIsMeasured = false
