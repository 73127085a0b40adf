package publication_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"op25b/e2e/longform"
)

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "40"); err != nil { // each case loads dozens of pipelines, each of which takes milliseconds
		panic(err)
	}
	longform.Rapid()
	goleak.VerifyTestMain(m)
}
