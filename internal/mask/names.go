package mask

// secretsBuiltin is the name of the rule that holds for everybody.
const secretsBuiltin = "secrets"

// secretEndings are how names of secrets end, and secretNames what they are as a whole; in lower case and without
// what separates words. harmlessEndings turn a page: they end like secrets and are none. A name like max_tokens counts
// something, and ends otherwise.
var (
	secretEndings = []string{
		"password", "passwords", "passwordconfirmation", "passwordconfirm", "passwordhash", "passwd", "passphrase", "passcode",
		"secret", "secrets", "secretkey", "secretaccesskey", "privatekey", "apikey", "authkey", "token", "authorization", "cookie", "cookies",
	}
	secretNames     = []string{"pwd", "pw", "jwt", "bearer", "pin", "otp", "cvv", "cvv2", "cvc", "cvc2", "credential"}
	harmlessEndings = []string{
		"nexttoken", "prevtoken", "previoustoken", "pagetoken", "paginationtoken", "continuationtoken", "continuetoken", "synctoken", "cursortoken",
		"starttoken", "startingtoken", "resumetoken",
	}
)

// byEnd are the lists by their last character, and which ones stand before it: most names are told apart by the two.
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

// secretName tells whether a member of this name holds a secret: in any case, with or without what separates words, also
// one of several that are numbered (password2, tokens[0].token).
func secretName[T string | []byte](name T) bool {
	n := len(name)
	for n > 0 && separator(name[n-1]) {
		n--
	}
	if n < 2 {
		return false
	}
	if c := name[n-1]; !digit(c) {
		return secretWord(name[:n], true, true)
	}
	if secretWord(name[:n], false, true) {
		return true
	}
	for n > 0 && (separator(name[n-1]) || digit(name[n-1])) {
		n--
	}
	return n > 1 && secretWord(name[:n], true, false)
}

// secretWord is secretName of a name of two characters or more with a letter or a digit at its end.
func secretWord[T string | []byte](name T, endings, names bool) bool {
	n := len(name)
	lists := &byEnd[lower(name[n-1])]
	if c := name[n-2]; lists.before&letterBit(c) == 0 && !separator(c) {
		return false
	}
	if endings {
		for _, s := range lists.endings {
			if ends(name, s) >= 0 {
				return !harmless(name)
			}
		}
	}
	if names {
		for _, s := range lists.names {
			if rest := ends(name, s); rest >= 0 && onlySeparators(name[:rest]) {
				return true
			}
		}
	}
	return false
}

func harmless[T string | []byte](name T) bool {
	for _, s := range harmlessEndings {
		if ends(name, s) >= 0 {
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

// separator is what stands between and around the words of names: in user[password] the brackets too.
func separator(c byte) bool { return c < 0x80 && !alphanum(c) }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
