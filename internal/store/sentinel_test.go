package store

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"op25b/internal/store/storetest"
)

// If the store does not answer, this is logged immediately and only once, with the member and the reason. When the
// store answers again, this is logged too.
func TestSentinelTells(t *testing.T) {
	told := make(chan zapcore.Entry, 100)
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&strings.Builder{}), zap.InfoLevel)
	logger := zap.New(core, zap.Hooks(func(e zapcore.Entry) error { told <- e; return nil }))
	e := storetest.Start(t)
	e.Stop()
	s := open(t, Config{Endpoints: []string{e.Endpoint()}, Timeout: 100 * time.Millisecond, Logger: logger})
	if first := receive(t, "a warning", told); first.Level != zap.WarnLevel || !strings.HasPrefix(first.Message, "the store is unavailable") {
		t.Errorf("the first line is %+v", first)
	}
	wantError(t, s.Ready(within(t)), ErrNoQuorum, e.Endpoint()+" does not answer: ")
	_, err := s.Revisions().Head(within(t))
	wantError(t, err, ErrNoQuorum, "read intent: no quorum: "+e.Endpoint()+" does not answer: ")
	e.Begin()
	for {
		if next := receive(t, "that it is back", told); next.Message == "the store answers again" {
			break
		} else if next.Level >= zap.WarnLevel {
			t.Errorf("warned again: %+v", next)
		}
	}
	if err := s.Ready(within(t)); err != nil {
		t.Error(err)
	}
}

// The timeouts within Ready add up to less than a second, because a prober expects the answer within a second.
func TestReadyWithinASecond(t *testing.T) {
	if most := readyTimeout + lookTimeout; most >= time.Second {
		t.Errorf("Ready may take %v", most)
	}
	s := embeddedStore(t)
	p := behindProxy(t, s)
	far := open(t, Config{Endpoints: []string{p.endpoint()}})
	if err := far.Ready(within(t)); err != nil {
		t.Fatal(err)
	}
	p.stall()
	defer p.flow()
	wantError(t, far.Ready(t.Context()), ErrNoQuorum, p.endpoint()+" does not answer: ")
}
