package abuse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"op25b/internal/readfile"
	"op25b/internal/tlsfiles"
	"op25b/internal/webhook"
)

// These are the limits of a webhook.
const (
	// maxMessages is the length of the queue of messages. At one message a minute, the queue has the messages of the last four hours.
	maxMessages = 256
	// maxNews is the largest number of lines in a message. Each takes 300 bytes.
	maxNews = 1000
	// minWebhookKey and maxWebhookKey limit the size of the key's file, in bytes. 16 bytes are 128 bits.
	minWebhookKey, maxWebhookKey = 16, 4 << 10
	// webhookWithin is the time limit of one attempt.
	webhookWithin = 10 * time.Second
	// minRetry and maxRetry limit the pause before the next attempt, which doubles from 1 s to 300 s. maxAttempts is the number of attempts,
	// so that a receiver may be unreachable for an hour.
	minRetry, maxRetry = time.Second, 5 * time.Minute
	maxAttempts        = 20
)

// A WebhookConfig configures a Webhook.
type WebhookConfig struct {
	URL string
	// KeyFile is the file with the key of the signature. Spaces around the key are ignored.
	KeyFile string
	// Controller is the name of the controller in the messages.
	Controller string
}

// A Webhook sends a signed message when lines become bot-like. A message contains pseudonyms, but no names.
type Webhook struct {
	cfg    WebhookConfig
	key    []byte
	client *http.Client
	after  func(time.Duration) <-chan time.Time // time.After, except in tests
	wake   chan struct{}                        // has room for one token, which means that a message is waiting

	mu    sync.Mutex // guards queue
	queue [][]byte
}

// NewWebhook returns a webhook. It returns ErrWebhook if the URL is neither https nor on this host, or if the key is unusable.
func NewWebhook(cfg WebhookConfig) (*Webhook, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return nil, fmt.Errorf("%w: URL %q: must be like https://abuse.isp.example/op25b, without a user", ErrWebhook, cfg.URL)
	case u.Scheme != "https" && !(u.Scheme == "http" && tlsfiles.Loopback(u.Hostname())):
		return nil, fmt.Errorf("%w: URL %q: must be https; http is only for a receiver on this host", ErrWebhook, cfg.URL)
	}
	key, err := readfile.Bounded(cfg.KeyFile, maxWebhookKey)
	if err != nil {
		return nil, fmt.Errorf("%w: key: %w", ErrWebhook, err)
	}
	if key = bytes.TrimSpace(key); len(key) < minWebhookKey {
		return nil, fmt.Errorf("%w: key %s has %d bytes: must have %d to %d", ErrWebhook, cfg.KeyFile, len(key), minWebhookKey, maxWebhookKey)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // a proxy from the process's environment must not see the messages
	return &Webhook{
		cfg: cfg, key: key, after: time.After, wake: make(chan struct{}, 1),
		client: &http.Client{
			Transport: transport, Timeout: webhookWithin,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// A Message is the body of a request to the webhook.
type Message struct {
	Version    int       `json:"version"` // 1
	Controller string    `json:"controller"`
	Time       time.Time `json:"time"`
	Lines      []News    `json:"lines"`
}

// A News describes a line that has become bot-like.
type News struct {
	ID          string    `json:"id"`
	Class       string    `json:"class"`
	Since       time.Time `json:"since"`
	Reasons     []string  `json:"reasons"`
	Attempts    uint64    `json:"attempts"`
	Servers     uint64    `json:"servers"`
	Unsolicited uint64    `json:"unsolicited"`
	Days        int       `json:"days"`
	Hours       []int     `json:"hours"`
}

// HoursOf returns the hours in a Features.Hours bitmap.
func HoursOf(bitmap uint32) []int {
	all := []int{}
	for h := range 24 {
		if bitmap>>h&1 == 1 {
			all = append(all, h)
		}
	}
	return all
}

// offer queues messages about lines. If the queue is full, it drops the oldest messages, and returns their number.
func (w *Webhook) offer(now time.Time, lines []Offender) (dropped int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(lines) > 0 {
		n := min(len(lines), maxNews)
		m := Message{Version: 1, Controller: w.cfg.Controller, Time: now.UTC()}
		for _, o := range lines[:n] {
			m.Lines = append(m.Lines, News{
				o.ID.String(), o.Class.String(), o.Since, o.Reasons, o.Attempts, o.Servers, o.Unsolicited, o.Days, HoursOf(o.Hours),
			})
		}
		lines = lines[n:]
		body, _ := json.Marshal(m) // marshalling never fails, because the message has only numbers, times and texts
		if w.queue = append(w.queue, body); len(w.queue) > maxMessages {
			w.queue = w.queue[1:]
			dropped++
		}
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return dropped
}

func (w *Webhook) next() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return nil
	}
	body := w.queue[0]
	w.queue = w.queue[1:]
	return body
}

// run sends the messages, one after the other, until ctx ends.
func (w *Webhook) run(ctx context.Context, metrics *Metrics, log *zap.Logger) {
	defer w.client.CloseIdleConnections()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		for body := w.next(); body != nil && ctx.Err() == nil; body = w.next() {
			if err := w.deliver(ctx, body, metrics); err != nil && ctx.Err() == nil {
				metrics.dropped(dropWebhook, 1)
				log.Warn("a message about bot-like lines was given up", zap.Error(err), zap.Int("attempts", maxAttempts))
			}
		}
	}
}

// deliver sends a message until the receiver accepts it or refuses it permanently.
func (w *Webhook) deliver(ctx context.Context, body []byte, metrics *Metrics) error {
	pause := minRetry
	for attempt := 1; ; attempt++ {
		err := w.post(ctx, body)
		metrics.attempt(err)
		if err == nil || attempt == maxAttempts || errors.Is(err, errRefused) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.after(pause):
		}
		pause = min(2*pause, maxRetry)
	}
}

// errRefused means that the receiver would refuse every further attempt.
var errRefused = errors.New("the receiver refuses the message")

func (w *Webhook) post(ctx context.Context, body []byte) error {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWebhook, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(webhook.TimestampHeader, at)
	r.Header.Set(webhook.SignatureHeader, webhook.Sign(w.key, at, body))
	answer, err := w.client.Do(r)
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err // without the URL, which may contain a token
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWebhook, err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 4<<10) // the body is read so that the connection can be reused
	switch code := answer.StatusCode; {
	case code/100 == 2:
		return nil
	case code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests:
		return fmt.Errorf("%w: %w with %s", ErrWebhook, errRefused, answer.Status)
	default:
		return fmt.Errorf("%w: the receiver answered %s", ErrWebhook, answer.Status)
	}
}
