package main

import (
	"bytes"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// outputBuffer collects the output of a plugin.
type outputBuffer struct {
	mutex sync.Mutex
	data  []byte
}

func (b *outputBuffer) Write(data []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.data = append(b.data, data...)
	return len(data), nil
}

// bytes returns a copy of everything collected from an offset on.
func (b *outputBuffer) bytes(from int) []byte {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return bytes.Clone(b.data[from:])
}

func (b *outputBuffer) len() int {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return len(b.data)
}

// logEntry is one entry of the host's log, which includes that of the plugin.
type logEntry struct {
	logger  string
	level   hclog.Level
	message string
	fields  map[string]any
}

// logRecorder is a sink that keeps the host's log.
type logRecorder struct {
	mutex   sync.Mutex
	entries []logEntry
}

// Accept implements hclog.SinkAdapter.
func (r *logRecorder) Accept(name string, level hclog.Level, message string, pairs ...any) {
	entry := logEntry{logger: name, level: level, message: message, fields: map[string]any{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if key, ok := pairs[i].(string); ok {
			entry.fields[key] = pairs[i+1]
		}
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.entries = append(r.entries, entry)
}

// find returns the first entry with this message, or nil.
func (r *logRecorder) find(message string) *logEntry {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for i := range r.entries {
		if r.entries[i].message == message {
			entry := r.entries[i]
			return &entry
		}
	}
	return nil
}
