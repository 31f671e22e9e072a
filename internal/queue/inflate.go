package queue

import (
	"encoding/base64"
	"fmt"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// inflater is for concurrent use and holds nothing between envelopes. It is made with the package, and not
// pooled or at first use: it has a channel inside, which synctest ties to the test that made it.
var inflater, errInflater = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true),
	zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(MaxPayload+maxHeader), zstd.WithDecodeAllCapLimit(true))

// inflate turns a frame into header and lines, never more than declared and never more than allowed.
func inflate(wire Wire, frame []byte) ([]byte, error) {
	if wire == Binary {
		size, err := s2.DecodedLen(frame)
		if err != nil || size > MaxPayload+maxHeader {
			return nil, corrupt("the block declares no size, or one that is too large", err)
		}
		raw, err := s2.Decode(make([]byte, size), frame)
		if err != nil {
			return nil, corrupt("the block can't be inflated", err)
		}
		return raw, nil
	}
	comp := make([]byte, base64.StdEncoding.DecodedLen(len(frame)))
	n, err := base64.StdEncoding.Strict().Decode(comp, frame)
	if err != nil {
		return nil, corrupt("it is not base64", err)
	}
	if base64.StdEncoding.EncodedLen(n) != len(frame) { // the decoder skips line ends
		return nil, corrupt("it is not base64 without line ends", nil)
	}
	comp = comp[:n]
	size, err := checkFrame(comp)
	if err != nil {
		return nil, corrupt("the frame is refused", err)
	}
	if errInflater != nil {
		return nil, fmt.Errorf("zstd: %w", errInflater)
	}
	raw, err := inflater.DecodeAll(comp, make([]byte, 0, size))
	if err != nil {
		return nil, corrupt("the frame can't be inflated", err)
	}
	if len(raw) != size {
		return nil, corrupt("the frame's size is not the one declared", nil)
	}
	return raw, nil
}

// checkFrame returns the declared size of comp, which must be exactly one zstd frame that declares its
// size and carries a checksum. The decoder itself would take several frames, skippable ones, and
// frames without either.
func checkFrame(comp []byte) (int, error) {
	var h zstd.Header
	if err := h.Decode(comp); err != nil {
		return 0, err
	}
	switch {
	case h.Skippable:
		return 0, fmt.Errorf("skippable frame")
	case !h.HasFCS || h.FrameContentSize > MaxPayload+maxHeader:
		return 0, fmt.Errorf("no declared size, or one that is too large")
	case !h.HasCheckSum:
		return 0, fmt.Errorf("no checksum")
	case h.DictionaryID != 0:
		return 0, fmt.Errorf("needs a dictionary")
	case !h.SingleSegment && h.WindowSize > maxWindow:
		return 0, fmt.Errorf("window of %d bytes", h.WindowSize)
	}
	const checksum, rle = 4, 1
	at := h.HeaderSize
	for last := false; !last; {
		if len(comp)-at < 3 {
			return 0, fmt.Errorf("cut short")
		}
		b := int(comp[at]) | int(comp[at+1])<<8 | int(comp[at+2])<<16
		last = b&1 == 1
		size := b >> 3
		if b>>1&3 == rle {
			size = 1
		}
		at += 3 + size
		if at > len(comp) {
			return 0, fmt.Errorf("cut short")
		}
	}
	if at+checksum != len(comp) {
		return 0, fmt.Errorf("%d bytes where the checksum should be the last 4", len(comp)-at)
	}
	return int(h.FrameContentSize), nil
}
