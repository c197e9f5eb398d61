package explore

// table maps digests to the numbers of states. It is open addressing over flat
// arrays: ten million states must not be ten million objects for the collector.
type table struct {
	keys []digest
	vals []uint32 // 1 + number; 0 is an empty place
	n    int
}

func newTable() *table { return &table{keys: make([]digest, 1<<16), vals: make([]uint32, 1<<16)} }

// find returns the state's number.
func (t *table) find(d digest) (uint32, bool) {
	for i := d[0] & uint64(len(t.keys)-1); ; i = (i + 1) & uint64(len(t.keys)-1) {
		switch {
		case t.vals[i] == 0:
			return 0, false
		case t.keys[i] == d:
			return t.vals[i] - 1, true
		}
	}
}

// add stores a digest that is not in the table.
func (t *table) add(d digest, number uint32) {
	if t.n*3 > len(t.keys)*2 {
		old := *t
		t.keys, t.vals = make([]digest, 2*len(old.keys)), make([]uint32, 2*len(old.keys))
		for i, v := range old.vals {
			if v != 0 {
				t.put(old.keys[i], v)
			}
		}
	}
	t.n++
	t.put(d, number+1)
}

func (t *table) put(d digest, v uint32) {
	i := d[0] & uint64(len(t.keys)-1)
	for t.vals[i] != 0 {
		i = (i + 1) & uint64(len(t.keys)-1)
	}
	t.keys[i], t.vals[i] = d, v
}
