package mask

import "strings"

// The wildcards of a path.
const (
	anyName  = "*"  // one member, whatever its name
	anyDepth = "**" // any members in each other, also none
)

func splitPath(path string) []string { return strings.Split(path, ".") }

// state is how far a rule's path has come: its next name is compared with the members of the object at hand.
type state struct {
	rule, at int
}

// open adds s, and where it stands before ** what comes behind that.
func (m *Masker) open(states []state, s state) []state {
	states = append(states, s)
	if m.rules[s.rule].path[s.at] == anyDepth { // never the last one
		states = append(states, state{s.rule, s.at + 1})
	}
	return states
}

// step goes from the states in w.states[from:to] into the member of a name. What is left of them comes to the end of
// w.states; rule is the first rule that names the member. A dot in a name is a step like one between names: the
// search takes "a.b" and b in a as one path.
func (w *walk) step(from, to int, name string) (lo, hi, rule int) {
	rule = none
	for {
		part, rest, more := strings.Cut(name, ".")
		lo = len(w.states)
		for i := from; i < to; i++ {
			s := w.states[i]
			path := w.m.rules[s.rule].path
			switch wanted := path[s.at]; {
			case wanted == anyDepth:
				w.states = append(w.states, s)
				w.states = append(w.states, state{s.rule, s.at + 1})
			case wanted != anyName && wanted != part:
			case s.at+1 == len(path):
				rule = min(rule, s.rule)
			default:
				w.states = w.m.open(w.states, state{s.rule, s.at + 1})
			}
		}
		hi = len(w.states)
		if !more || hi == lo {
			return lo, hi, rule
		}
		from, to, name = lo, hi, rest
	}
}
