package ingest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// A frame is what one fsync made durable: a header of magic, length, the frame's
// place in the file, and CRC-32C over these two and the content; and the content,
// which is records as lines of JSON.
//
// By its place a frame says whether one before it is missing.
//
// Its magic begins with a byte that no UTF-8 text has, so that nothing a sender
// writes into a label looks like a frame. A commit is one frame, so that a crash in
// the middle of a write can damage the last frame of a file and no other.
const (
	headerLen = 20
	maxFrame  = 128 << 20 // content; a body of 16 MiB grows to less than 64 MiB
)

var (
	magic      = [4]byte{0xf7, 'W', 'H', '1'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// errDamaged: a frame is not whole, or not what was written.
var errDamaged = errors.New("damaged frame")

// frame returns the frame whose content are these lines, and which is to be at byte
// at of its file.
func frame(at int64, lines [][]byte) []byte {
	n := headerLen
	for _, l := range lines {
		n += len(l) + 1
	}
	b := make([]byte, headerLen, n)
	for _, l := range lines {
		b = append(append(b, l...), '\n')
	}
	copy(b, magic[:])
	binary.LittleEndian.PutUint32(b[4:], uint32(n-headerLen))
	binary.LittleEndian.PutUint64(b[8:], uint64(at))
	binary.LittleEndian.PutUint32(b[16:], checksum(b[4:16], b[headerLen:]))
	return b
}

func checksum(header, content []byte) uint32 {
	return crc32.Update(crc32.Checksum(header, castagnoli), castagnoli, content)
}

// readFrame returns the next frame, and the place it was written for: io.EOF at a
// clean end, errDamaged when what is there is no whole frame.
func readFrame(r io.Reader) (at int64, content []byte, err error) {
	var header [headerLen]byte
	switch _, err := io.ReadFull(r, header[:]); {
	case errors.Is(err, io.EOF):
		return 0, nil, io.EOF
	case err == io.ErrUnexpectedEOF:
		return 0, nil, errDamaged
	case err != nil:
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(header[4:])
	if !bytes.Equal(header[:4], magic[:]) || n > maxFrame {
		return 0, nil, errDamaged
	}
	// Grown while reading: a damaged length must not cost memory.
	var b bytes.Buffer
	switch _, err := io.CopyN(&b, r, int64(n)); {
	case errors.Is(err, io.EOF):
		return 0, nil, errDamaged
	case err != nil:
		return 0, nil, err
	}
	if checksum(header[4:16], b.Bytes()) != binary.LittleEndian.Uint32(header[16:]) {
		return 0, nil, errDamaged
	}
	return int64(binary.LittleEndian.Uint64(header[8:])), b.Bytes(), nil
}

// findFrame returns the first whole frame that begins at byte from of the file or
// later, and how many bytes were skipped for it: errDamaged when there is none. A frame
// that was written for a place before the given one is older than what was read
// already, and is skipped.
func findFrame(f io.ReaderAt, from, place int64) (skipped, at int64, content []byte, err error) {
	const most = 1<<63 - 1
	in := bufio.NewReaderSize(io.NewSectionReader(f, from, most-from), 1<<16)
	for ; ; skipped++ {
		start, err := in.Peek(len(magic))
		switch {
		case errors.Is(err, io.EOF):
			return 0, 0, nil, errDamaged
		case err != nil:
			return 0, 0, nil, err
		}
		if bytes.Equal(start, magic[:]) {
			at, content, err := readFrame(io.NewSectionReader(f, from+skipped, most-from-skipped))
			if err == nil && at >= place || err != nil && !errors.Is(err, errDamaged) {
				return skipped, at, content, err
			}
		}
		if _, err := in.Discard(1); err != nil {
			return 0, 0, nil, err
		}
	}
}

// hasFrame reports whether a whole frame begins anywhere in b.
func hasFrame(b []byte) bool {
	_, _, _, err := findFrame(bytes.NewReader(b), 0, 0)
	return err == nil
}
