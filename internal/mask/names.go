package mask

// secretsBuiltin is the name of the rule that holds for everybody.
const secretsBuiltin = "secrets"

// secretEndings are how names of secrets end, and secretNames what they are as a whole; in lower case and without
// what separates words. A name like max_tokens counts something and next_token turns a page: they are none.
var (
	secretEndings = []string{
		"password", "passwords", "passwd", "passphrase", "secret", "secrets", "secretkey", "secretaccesskey", "privatekey", "apikey", "authkey",
		"accesstoken", "refreshtoken", "sessiontoken", "securitytoken", "authtoken", "idtoken", "apitoken", "bearertoken", "csrftoken", "xsrftoken",
		"authorization", "cookie", "cookies",
	}
	secretNames = []string{"token", "pwd", "jwt", "pin", "cvv", "cvc", "credential"}
)

// SecretNameEndings and SecretWholeNames are the lists, for the documentation.
func SecretNameEndings() []string { return append([]string(nil), secretEndings...) }

// SecretWholeNames are the names that are secret as a whole only.
func SecretWholeNames() []string { return append([]string(nil), secretNames...) }

// byEnd are the lists by their last letter, and which letters stand before it: most names are told apart by the two.
var byEnd = func() (lists [256]struct {
	before         uint32
	endings, names []string
}) {
	for _, s := range secretEndings {
		l := &lists[s[len(s)-1]]
		l.endings, l.before = append(l.endings, s), l.before|letterBit(s[len(s)-2])
	}
	for _, s := range secretNames {
		l := &lists[s[len(s)-1]]
		l.names, l.before = append(l.names, s), l.before|letterBit(s[len(s)-2])
	}
	return lists
}()

func letterBit(c byte) uint32 { return 1 << (lower(c) & 31) }

// secretName tells whether a member of this name holds a secret: in any case, with or without - and _ between words.
func secretName[T string | []byte](name T) bool {
	for len(name) > 0 && separator(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	n := len(name)
	if n < 3 {
		return false
	}
	lists := &byEnd[lower(name[n-1])]
	if c := name[n-2]; lists.before&letterBit(c) == 0 && !separator(c) {
		return false
	}
	for _, s := range lists.endings {
		if ends(name, s) >= 0 {
			return true
		}
	}
	for _, s := range lists.names {
		if rest := ends(name, s); rest >= 0 && onlySeparators(name[:rest]) {
			return true
		}
	}
	return false
}

// ends gives where the ending begins in name, or -1 if name does not end so.
func ends[T string | []byte](name T, ending string) int {
	i := len(name)
	for j := len(ending) - 1; j >= 0; j-- {
		for i--; i >= 0 && separator(name[i]); i-- {
		}
		if i < 0 || lower(name[i]) != ending[j] {
			return -1
		}
	}
	return i
}

func onlySeparators[T string | []byte](s T) bool {
	for i := range len(s) {
		if !separator(s[i]) {
			return false
		}
	}
	return true
}

func separator(c byte) bool { return c == '_' || c == '-' || c == '.' || c == ' ' }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
