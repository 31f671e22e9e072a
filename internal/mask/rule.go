// Package mask takes out of an entry what must not be kept, before the entry leaves the API.
package mask

// Rule is what to look for and what to put in its place. Exactly one of Field, Pattern and Builtin is set.
type Rule struct {
	Name    string `json:"name"`             // for people, and in the answers of a dry run
	Field   string `json:"field,omitzero"`   // path of a member: message, metadata.card.number, after_state.*
	Pattern string `json:"pattern,omitzero"` // RE2, in any string value
	Builtin string `json:"builtin,omitzero"` // email, card, bearer, aws_key, ip
	Action  string `json:"action"`           // mask, hash or drop
}
