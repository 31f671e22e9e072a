package auth

// Role is what a principal may do in its tenants.
type Role uint8

const (
	Writer Role = 1 << iota // posts entries
	Reader                  // searches, reads, exports and follows entries
	Admin                   // both, and manages its tenants
)

// ParseRole reads a role's name, exactly as a token carries it.
func ParseRole(name string) (Role, bool) {
	switch name {
	case "writer":
		return Writer, true
	case "reader":
		return Reader, true
	case "admin":
		return Admin, true
	}
	return 0, false
}

func (r Role) String() string {
	switch r {
	case Writer:
		return "writer"
	case Reader:
		return "reader"
	case Admin:
		return "admin"
	}
	return "none"
}

// rolesOf are all the roles named; a name of a newer version grants nothing here.
func rolesOf(names []string) Role {
	var all Role
	for _, name := range names {
		r, _ := ParseRole(name)
		all |= r
	}
	return all
}

// Names are the roles in r as a token carries them.
func (r Role) Names() []string {
	names := []string{}
	for _, one := range []Role{Writer, Reader, Admin} {
		if r&one != 0 {
			names = append(names, one.String())
		}
	}
	return names
}
