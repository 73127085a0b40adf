package accounting

import (
	"testing"

	"go.uber.org/goleak"

	"op25b/e2e/longform"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	goleak.VerifyTestMain(m)
}
