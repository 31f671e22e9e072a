package search

// appendVarint appends v as SQLite writes integers of variable length: big end first, seven bits a byte,
// all eight of a ninth.
func appendVarint(dst []byte, v uint64) []byte {
	switch {
	case v < 1<<7:
		return append(dst, byte(v))
	case v < 1<<14:
		return append(dst, byte(v>>7)|0x80, byte(v)&0x7f)
	case v < 1<<21:
		return append(dst, byte(v>>14)|0x80, byte(v>>7)|0x80, byte(v)&0x7f)
	case v >= 1<<56:
		for shift := 57; shift >= 8; shift -= 7 {
			dst = append(dst, byte(v>>shift)|0x80)
		}
		return append(dst, byte(v))
	}
	n := 0
	for shift := v >> 7; shift > 0; shift >>= 7 {
		n += 7
	}
	for ; n > 0; n -= 7 {
		dst = append(dst, byte(v>>n)|0x80)
	}
	return append(dst, byte(v)&0x7f)
}

// varint reads one from the beginning of b and returns how many bytes it has; 0 where b ends before.
func varint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	for i, c := range b {
		if i == 8 {
			return v<<8 | uint64(c), 9
		}
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
