package flow

// Args are the arguments of a gateway or executor. Filled by the parser.
type Args struct{}
