package config

import (
	"reflect"
	"testing"
)

// All finds the options of receivers by their shape: each field of Receivers is a pointer to
// options, or a slice of options with a name.
func TestEveryReceiverHasItsOptions(t *testing.T) {
	options := reflect.TypeFor[ReceiverOptions]()
	for f := range reflect.TypeFor[Receivers]().Fields() {
		of := f.Type
		if of.Kind() == reflect.Slice {
			if name, ok := of.Elem().FieldByName("Name"); !ok || name.Type.Kind() != reflect.String {
				t.Errorf("receivers.%s: there may be several, so its options need a field Name", receiverSection(f))
			}
			of = reflect.PointerTo(of.Elem())
		}
		if of.Kind() != reflect.Pointer || !of.Implements(options) {
			t.Errorf("receivers.%s: give *%s the methods of ReceiverOptions (receiver.go)", receiverSection(f),
				of.Elem().Name())
		}
		if receiverSection(f) == "" {
			t.Errorf("%s needs a key in YAML", f.Name)
		}
	}
}
