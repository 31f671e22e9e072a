// Package mask takes out of an entry what must not be kept, before the entry leaves the API.
//
// What it promises:
//   - What no rule hits stays as it is, byte for byte; numbers keep their literals.
//   - The same rules, key and entry give the same result, so that a retry has the id of the first attempt; and
//     what was masked is masked already: applying the rules again changes nothing, unless one of the tenant's
//     finds something in the marks.
//   - Without rules of a tenant the values of members named like passwords and tokens are masked all the same.
//
// What it leaves to its caller: an entry that passed validation, its states and metadata JSON objects without
// white space; and to compile a tenant's rules once, not for each request (Set does).
//
// # Which rule acts
//
// A value is acted upon once. Of the rules that name it, or an object that it is in, the first in the list is
// the one, with the rule for secret names at the end where the tenant did not put it elsewhere. Only where none
// names it, patterns and builtins look into the string, one after the other.
package mask

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"regexp"
	"sync"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Rule is what to look for and what to put in its place. Exactly one of Field, Pattern and Builtin is set.
type Rule struct {
	Name    string `json:"name"`             // for people, and in the answers of a dry run
	Field   string `json:"field,omitzero"`   // path of a member: message, metadata.card.number, after_state.*, metadata.**.ssn
	Pattern string `json:"pattern,omitzero"` // RE2, in any string value
	Builtin string `json:"builtin,omitzero"` // email, card, bearer, aws_key, ip; secrets: the names that hold for everybody
	Action  string `json:"action"`           // mask, hash or drop; keep, which exempts a field or switches secrets off
}

// The actions.
const (
	Mask = "mask" // *** stands in its place; of a card its last four digits stay, of an address its network
	Hash = "hash" // the same value gives the same hash within a tenant, in every field
	Drop = "drop" // the member goes
	Keep = "keep" // no other rule acts
)

// Kind is what kind of rule acted; a label of metrics.
type Kind uint8

// The kinds.
const (
	ByName    Kind = iota // the secret names
	ByField               // a path
	ByPattern             // a pattern of a tenant's own
	ByBuiltin             // email, card, bearer, aws_key, ip
	kinds
)

func (k Kind) String() string { return [kinds]string{"name", "field", "pattern", "builtin"}[k] }

// Hits counts the values that were acted upon, by kind.
type Hits [kinds]int

// Kinds are all kinds, in the order of Hits.
func Kinds() []Kind { return []Kind{ByName, ByField, ByPattern, ByBuiltin} }

// SecretNames is the number under which Report hears of the rule for secret names where no rule of the tenant
// stands for it.
const SecretNames = -1

// Report hears of each value that a rule acted upon: the rule's number in the list, and a JSON pointer into the
// entry as it was.
type Report func(rule int, pointer string)

// Masker is rules ready to be applied. It may be used concurrently.
type Masker struct {
	rules  []compiled // in order of precedence, without those that look into strings
	names  int        // which of rules stands for the secret names; none: switched off
	texts  []textRule
	fields [topFields]int // which of rules names a field of the entry; none
	roots  [3][]state     // of before_state, after_state, metadata: rules that name something inside
	whole  [3]int         // which of rules names the object itself; none
	hashes sync.Pool      // of *hasher
}

// none is the number of no rule: it comes after all others.
const none = 1 << 30

// compiled is a rule that names members.
type compiled struct {
	number int // in the tenant's list, or SecretNames
	action string
	kind   Kind
	path   []string // below the field; empty: the field itself
}

// textRule looks into strings.
type textRule struct {
	number int
	action string
	kind   Kind
	re     *regexp.Regexp
	// Of a builtin instead of re.
	builtin string
	find    finder
}

// New compiles rules that passed Check. key is the tenant's own, for hashes.
func New(rules []Rule, key []byte) (*Masker, error) {
	if problems := Check(rules); len(problems) > 0 {
		return nil, errRules(problems)
	}
	m := &Masker{names: none, whole: [3]int{none, none, none}}
	for i := range m.fields {
		m.fields[i] = none
	}
	key = append([]byte(nil), key...)
	m.hashes.New = func() any { return &hasher{mac: hmac.New(sha256.New, key)} }
	named := false
	for i, r := range rules {
		switch {
		case r.Field != "":
			m.addField(i, r)
		case r.Builtin == secretsBuiltin && named: // the first one counts
		case r.Builtin == secretsBuiltin:
			named = true
			m.addNames(i, r.Action)
		case r.Builtin != "":
			m.texts = append(m.texts, textRule{number: i, action: r.Action, kind: ByBuiltin, builtin: r.Builtin, find: builtins[r.Builtin]})
		default:
			m.texts = append(m.texts, textRule{number: i, action: r.Action, kind: ByPattern, re: regexp.MustCompile(r.Pattern)})
		}
	}
	if !named {
		m.addNames(SecretNames, Mask)
	}
	return m, nil
}

func (m *Masker) addNames(number int, action string) {
	if action == Keep {
		return
	}
	m.names = len(m.rules)
	m.rules = append(m.rules, compiled{number: number, action: action, kind: ByName})
}

func (m *Masker) addField(number int, r Rule) {
	path := splitPath(r.Field)
	at := len(m.rules)
	m.rules = append(m.rules, compiled{number: number, action: r.Action, kind: ByField, path: path[1:]})
	root := rootOf(path[0])
	switch {
	case root < 0:
		if f := topOf(path[0]); m.fields[f] == none {
			m.fields[f] = at
		}
	case len(path) == 1:
		m.whole[root] = min(m.whole[root], at)
	default:
		m.roots[root] = m.open(m.roots[root], state{at, 0})
	}
}

// Apply changes e. report may be nil.
func (m *Masker) Apply(e *logentry.Entry, report Report) Hits {
	w := walk{m: m, report: report}
	if len(m.texts) > 0 || m.anyField() {
		m.applyFields(&w, e)
	}
	if len(m.rules) > 0 || len(m.texts) > 0 {
		e.BeforeState = w.root(0, e.BeforeState)
		e.AfterState = w.root(1, e.AfterState)
		e.Metadata = w.root(2, e.Metadata)
	}
	return w.hits
}

func (m *Masker) anyField() bool {
	for _, at := range m.fields {
		if at != none {
			return true
		}
	}
	return false
}

// hasher makes hashes, one at a time.
type hasher struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

const (
	mark       = "***"
	hashPrefix = "hash:"
	hashDigits = 24 // 96 bits: among a billion values no two meet
	hashLength = len(hashPrefix) + hashDigits
)

func (m *Masker) digest(value string) [sha256.Size]byte {
	h := m.hashes.Get().(*hasher)
	defer m.hashes.Put(h)
	h.mac.Reset()
	h.mac.Write([]byte(value))
	h.mac.Sum(h.sum[:0])
	return h.sum
}

// hashOf is hash:… of a value; of a hash it is that hash.
func (m *Masker) hashOf(value string) string {
	if isHash(value) {
		return value
	}
	const digits = "0123456789abcdef"
	sum := m.digest(value)
	text := make([]byte, hashLength)
	copy(text, hashPrefix)
	for i := range hashDigits / 2 {
		text[len(hashPrefix)+2*i], text[len(hashPrefix)+2*i+1] = digits[sum[i]>>4], digits[sum[i]&15]
	}
	return string(text)
}

func isHash(s string) bool {
	if len(s) != hashLength || s[:len(hashPrefix)] != hashPrefix {
		return false
	}
	for i := len(hashPrefix); i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
