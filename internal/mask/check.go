package mask

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// Bounds of a tenant's rules.
const (
	MaxRules        = 64
	MaxPatternBytes = 512
	maxNameBytes    = 100
	maxPathBytes    = 256
	maxPathNames    = 16
	maxInstructions = 1_000 // of a compiled pattern: each byte of a text may cost as many steps
)

// Check lists all that is wrong with a tenant's rules; pointers begin at the list: /0/pattern.
func Check(rules []Rule) []fault.Problem {
	if len(rules) > MaxRules {
		return []fault.Problem{{Code: "too_many_rules", Message: "a tenant has at most " + strconv.Itoa(MaxRules) + " masking rules"}}
	}
	var problems []fault.Problem
	for i, r := range rules {
		r.check(func(member, code, message string) {
			pointer := "/" + strconv.Itoa(i)
			if member != "" {
				pointer += "/" + member
			}
			problems = append(problems, fault.Problem{Pointer: pointer, Code: code, Message: message})
		})
	}
	return problems
}

func (r Rule) check(add func(member, code, message string)) {
	if len(r.Name) > maxNameBytes || strings.ContainsFunc(r.Name, unicode.IsControl) {
		add("name", "rule_name_invalid", "a rule's name has at most 100 bytes, none of them control characters")
	}
	set := 0
	for _, what := range []string{r.Field, r.Pattern, r.Builtin} {
		if what != "" {
			set++
		}
	}
	if set != 1 {
		add("", "rule_target_invalid", "a rule has exactly one of field, pattern and builtin")
	}
	if code, message := checkPath(r.Field); code != "" {
		add("field", code, message)
	}
	if code, message := checkPattern(r.Pattern); code != "" {
		add("pattern", code, message)
	}
	if _, known := builtins[r.Builtin]; r.Builtin != "" && r.Builtin != secretsBuiltin && !known {
		add("builtin", "builtin_unknown", "a builtin is email, card, bearer, aws_key, ip or secrets")
	}
	switch {
	case !slices.Contains([]string{Mask, Hash, Drop, Keep}, r.Action):
		add("action", "action_unknown", "an action is mask, hash, drop or keep")
	case r.Action == Keep && set == 1 && r.Field == "" && r.Builtin != secretsBuiltin:
		add("action", "action_invalid", "keep is for a field, or for the builtin secrets, which it switches off")
	}
}

func checkPath(path string) (code, message string) {
	if path == "" {
		return "", ""
	}
	const invalid = "field_invalid"
	names := splitPath(path)
	switch {
	case len(path) > maxPathBytes || len(names) > maxPathNames:
		return invalid, "a path has at most 256 bytes and 16 names"
	case rootOf(names[0]) < 0 && topOf(names[0]) < 0:
		return invalid, "a path begins with " + strings.Join(topNames[:], ", ") + ", " + strings.Join(rootNames[:], ", ")
	case rootOf(names[0]) < 0 && len(names) > 1:
		return invalid, "only before_state, after_state and metadata have members"
	case slices.Contains(names, ""):
		return invalid, "a name between two dots of a path is empty"
	case names[len(names)-1] == anyDepth:
		return invalid, "a path ends with a name or *; a rule for an object is for all that is in it"
	}
	wild := 0
	for _, name := range names {
		if name == anyDepth {
			wild++
		} else if strings.Contains(name, anyName) && name != anyName {
			return invalid, "in a path * and ** stand for whole names"
		}
	}
	if wild > 1 {
		return invalid, "a path has ** at most once"
	}
	return "", ""
}

func checkPattern(pattern string) (code, message string) {
	if pattern == "" {
		return "", ""
	}
	if len(pattern) > MaxPatternBytes {
		return "pattern_too_long", "a pattern has at most 512 bytes"
	}
	const expensive, tooMuch = "pattern_too_expensive", "this pattern repeats too much; write smaller counts"
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if e, ok := errors.AsType[*syntax.Error](err); ok && slices.Contains([]syntax.ErrorCode{syntax.ErrInvalidRepeatSize, syntax.ErrLarge, syntax.ErrNestingDepth}, e.Code) {
		return expensive, tooMuch
	}
	if err != nil {
		return "pattern_invalid", "this is no regular expression of RE2; back-references and look-around are none"
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > maxInstructions {
		return expensive, tooMuch
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return "pattern_invalid", "this is no regular expression of RE2"
	}
	if re.MatchString("") {
		return "pattern_matches_nothing", "this pattern matches the empty string, so it would hit everywhere; use + in the place of *"
	}
	return "", ""
}

// errRules is the fault of rules that do not pass.
func errRules(problems []fault.Problem) error {
	return &fault.Error{Kind: fault.Invalid, Code: "masking_invalid", Detail: "the masking rules are not valid", Problems: problems}
}
