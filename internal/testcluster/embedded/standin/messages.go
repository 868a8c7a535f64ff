package standin

import "google.golang.org/protobuf/encoding/protowire"

// versions are what a server says that it runs.
type versions struct{ jina, docarray string }

func (v versions) all() map[string]string {
	return map[string]string{"jina": v.jina, "docarray": v.docarray, "python": "3.11.9"}
}

// encodeInfo is a jina.JinaInfoProto: two maps, jina = 1 and envs = 2.
func encodeInfo(v versions) []byte {
	var b []byte
	b = appendEntry(b, 1, "jina", v.jina)
	b = appendEntry(b, 1, "docarray", v.docarray)
	b = appendEntry(b, 1, "python", "3.11.9")
	return appendEntry(b, 2, "JINA_LOG_LEVEL", "(unset)")
}

func appendEntry(b []byte, number protowire.Number, key, value string) []byte {
	entry := appendText(appendText(nil, 1, key), 2, value)
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), entry)
}

func appendText(b []byte, number protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), text)
}

// encodeStatus is a jina.StatusProto: code = 1, description = 2, exception = 3 {name = 1, args = 2, stacks = 3, executor = 4}.
func encodeStatus(failed *networkError) []byte {
	if failed == nil {
		return nil // SUCCESS is the default
	}
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
	b = appendText(b, 2, failed.Error())
	exception := appendText(appendText(nil, 1, failed.name), 2, failed.Error())
	return protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), exception)
}

// encodeEndpoints is a jina.EndpointsProto: endpoints = 1.
func encodeEndpoints(hasDefault bool) []byte {
	b := appendText(nil, 1, "_jina_dry_run_")
	if hasDefault {
		return appendText(b, 1, "/default")
	}
	return appendText(b, 1, "/search")
}
