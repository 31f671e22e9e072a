package httpapi

import (
	"bufio"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is how far back a zstd frame may refer: what RFC 9659 asks of every sender.
const maxWindow = 8 << 20

// inflate calls read with the inflated body of src, whose checksum has been compared when read sees its end.
func inflate(src io.Reader, encoding string, read func(io.Reader) ([]byte, error)) ([]byte, error) {
	if encoding == "zstd" {
		return inflateZstd(src, read)
	}
	return inflateGzip(src, read)
}

// gzipReader keeps a decoder together with the buffer from which it reads byte by byte, so that what
// follows the member is still there to be seen.
type gzipReader struct {
	in  bufio.Reader
	dec gzip.Reader
}

var gzipReaders = sync.Pool{New: func() any { return new(gzipReader) }}

var errTrailing = errors.New("something follows the gzip member")

func inflateGzip(src io.Reader, read func(io.Reader) ([]byte, error)) ([]byte, error) {
	z := gzipReaders.Get().(*gzipReader)
	defer func() {
		z.in.Reset(nil)
		gzipReaders.Put(z)
	}()
	z.in.Reset(src)
	if err := z.dec.Reset(&z.in); err != nil {
		return nil, err
	}
	z.dec.Multistream(false)
	body, err := read(&z.dec)
	if err != nil {
		return nil, err
	}
	switch _, err := z.in.ReadByte(); {
	case errors.Is(err, io.EOF):
		return body, nil
	case err == nil:
		return nil, errTrailing
	default:
		return nil, err
	}
}

// A decoder without concurrency owns no goroutine, so the pool may drop it.
var zstdDecoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecodeBuffersBelow(0))
	if err != nil {
		return err
	}
	return d
}}

func inflateZstd(src io.Reader, read func(io.Reader) ([]byte, error)) ([]byte, error) {
	d, ok := zstdDecoders.Get().(*zstd.Decoder)
	if !ok {
		return nil, errors.New("the zstd decoder refuses its options")
	}
	defer func() {
		_ = d.Reset(nil)
		zstdDecoders.Put(d)
	}()
	if err := d.Reset(src); err != nil {
		return nil, err
	}
	return read(d)
}
