package plan

// ofHelper tells that an object belongs to an executor that only passes on what it gets.
func ofHelper(c *deviationContext, o Object) bool {
	e := c.executors[o.Part.Executor]
	return e != nil && e.Helper
}

// graphWithoutHelpers gives the gateway the graph of the executors that there are.
func graphWithoutHelpers(c *deviationContext, o Object) {
	if o.Part.Role != RoleGateway || c.flow == c.reference {
		return
	}
	before := (&builder{flow: c.reference, options: c.options}).graphArguments()
	after := (&builder{flow: c.flow, options: c.options}).graphArguments()
	for _, container := range containersOf(o) {
		words, _ := container["args"].([]any)
		for i := range before {
			var replacement []string
			if after[i].json != "" {
				replacement = option(after[i].name, after[i].json)
			}
			words = replaceWords(words, option(before[i].name, before[i].json), replacement)
		}
		container["args"] = words
	}
}
