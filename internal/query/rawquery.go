package query

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// MaxParameters is how many parameters a URL may have.
const MaxParameters = 1000

// ParseRawQuery reads the part of a URL after its question mark. Unlike url.ParseQuery as it is often
// used it never leaves out what it cannot read: a semicolon, a bad escape, text that is not UTF-8 and
// too many parameters are a fault of kind Malformed with code query_invalid, so that a filter which was
// sent is never an empty one. A + is a space. Values of a name keep their order.
func ParseRawQuery(raw string) (map[string][]string, error) {
	v := make(map[string][]string)
	if strings.Count(raw, "&") >= MaxParameters {
		return nil, badURL("too_many_parameters", "a URL has at most 1,000 parameters")
	}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		if strings.Contains(pair, ";") {
			return nil, badURL("separator_invalid", "parameters are separated by &; write %3B for a semicolon")
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return nil, badURL("escape_invalid", "a % in a URL is followed by two hex digits; write %25 for itself")
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, badURL("utf8_invalid", "a parameter is not UTF-8")
		}
		v[name] = append(v[name], value)
	}
	return v, nil
}

func badURL(item, message string) error {
	return &fault.Error{Kind: fault.Malformed, Code: codeInvalid, Detail: message,
		Problems: []fault.Problem{{Code: item, Message: message}}}
}
