package sim
import ("testing";"os";"strconv")
func TestQuick(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("N"))
	if n == 0 { return }
	r := Many(1, n, 2, Swarm)
	t.Logf("\n%s", r)
}
