package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
)

// Status is the state of an alert as its sender reports it.
type Status string

// The two statuses of the protocol.
const (
	Firing   Status = "firing"
	Resolved Status = "resolved"
)

// Lost is the state of an alert that fired and was not repeated for too long:
// it is unknown whether it is over. No sender reports this state, and it is never a recovery.
const Lost Status = "lost"

// Alert is one alert as a sender reported it.
type Alert struct {
	// Fingerprint is the sender's, or computed from the labels when it sent none.
	// It is for people and for links; Key identifies alerts.
	Fingerprint  string         `json:"fingerprint"`
	Receiver     string         `json:"receiver,omitempty"`
	GroupKey     string         `json:"groupKey,omitempty"`
	Status       Status         `json:"status"`
	Labels       model.LabelSet `json:"labels"`
	Annotations  model.LabelSet `json:"annotations,omitempty"`
	StartsAt     time.Time      `json:"startsAt"`
	EndsAt       time.Time      `json:"endsAt,omitzero"` // zero while it fires
	GeneratorURL string         `json:"generatorURL,omitempty"`
	ReceivedAt   time.Time      `json:"receivedAt"`
	Sender       string         `json:"sender,omitempty"` // who was authenticated
}

// Key identifies an alert by its labels, whoever sends it: several Alertmanagers
// that send the same alert speak of one thing. The hash is one that cannot be
// made to collide, unlike the fingerprint of the protocol.
type Key [sha256.Size]byte

// Key returns the identity of the alert.
func (a Alert) Key() Key {
	names := make([]model.LabelName, 0, len(a.Labels))
	for n := range a.Labels {
		names = append(names, n)
	}
	slices.Sort(names)
	// 0xff is in no UTF-8 text, so no two label sets are written the same.
	b := make([]byte, 0, 512)
	for _, n := range names {
		b = append(append(append(append(b, n...), 0xff), a.Labels[n]...), 0xff)
	}
	return sha256.Sum256(b)
}

// String is the key in hexadecimal.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// MarshalText writes the key as String does.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(k)) {
		return fmt.Errorf("a key has %d hexadecimal digits, not %d", hex.EncodedLen(len(k)), len(text))
	}
	_, err := hex.Decode(k[:], text)
	return err
}
