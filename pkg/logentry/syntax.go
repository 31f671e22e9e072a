package logentry

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// syntaxFault words what keeps the body, or the line, from being JSON. The codec finds it: its verdict
// is the one that counts.
func (d *decoder) syntaxFault() *DecodeError {
	p := Problem{Code: "json_invalid", Message: "this is not JSON"}
	at := 0
	decoder := jsontext.NewDecoder(bytes.NewBuffer(d.b))
	_, err := decoder.ReadValue()
	if err == nil {
		if at = scanSpace(d.b, int(decoder.InputOffset())); at == len(d.b) {
			return refusal(Malformed, p)
		}
		p.Code, p.Message = "json_trailing_data", "there is more after the end of the JSON; remove it"
		if d.form == Single {
			p.Message += ", or send several entries to the bulk route"
		}
	} else if fault, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = min(int(fault.ByteOffset), len(d.b))
		p.Pointer = shorten(string(fault.JSONPointer))
		p.Code, p.Message = d.faultAt(at, fault)
	}
	p.Line = d.line
	begin := bytes.LastIndexByte(d.b[:at], '\n') + 1
	if d.line == 0 {
		p.Line = bytes.Count(d.b[:begin], []byte{'\n'}) + 1
	}
	p.Column = utf8.RuneCount(d.b[begin:at]) + 1
	return refusal(Malformed, p)
}

func (d *decoder) faultAt(at int, fault *jsontext.SyntacticError) (code, message string) {
	rest := d.b[at:]
	switch {
	case errors.Is(fault, jsontext.ErrDuplicateName):
		return "json_duplicate_key", "an object has the same name twice; send it once"
	case strings.Count(string(fault.JSONPointer), "/") > maxDepth:
		return "json_too_deep", "the JSON is nested too deep"
	case at == 0 && bytes.HasPrefix(rest, []byte("\ufeff")):
		return "json_invalid", "the body begins with a byte order mark; leave it out"
	case errors.Is(fault, io.ErrUnexpectedEOF):
		return "json_invalid", "the JSON ends too early"
	case loneSurrogate(rest):
		return "json_invalid_utf8", "half of a surrogate pair is no character; send the pair or UTF-8"
	case invalidRune(rest):
		return "json_invalid_utf8", "these bytes are not UTF-8"
	}
	return "json_invalid", "this is not JSON; look at what stands here"
}

func invalidRune(b []byte) bool {
	r, n := utf8.DecodeRune(b)
	return r == utf8.RuneError && n == 1
}

// loneSurrogate tells that b begins with the escape of a surrogate.
func loneSurrogate(b []byte) bool {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return false
	}
	u := hex4(b, 2)
	return u >= 0xd800 && u < 0xe000
}
