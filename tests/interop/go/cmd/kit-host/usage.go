package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// spent is the CPU time of host and plugin, and of the host alone.
type spent struct{ both, host time.Duration }

// spent is the CPU time of host and plugin so far.
func (s *session) spent() spent {
	host := cpuTime()
	return spent{both: host + cpuOf(s.pid()), host: host}
}

func (s *session) spentSince(before spent) spent {
	now := s.spent()
	return spent{both: now.both - before.both, host: now.host - before.host}
}

// cpuOf is the CPU time of the live threads of another process, in
// nanoseconds.
func cpuOf(pid int) time.Duration {
	total := int64(0)
	for _, task := range tasksOf(pid) {
		text, _ := os.ReadFile(filepath.Join(task, "schedstat"))
		first, _, _ := strings.Cut(string(text), " ")
		nanoseconds, _ := strconv.ParseInt(first, 10, 64)
		total += nanoseconds
	}
	return time.Duration(total)
}

// sleepsOf is how often the live threads of a process have gone to sleep.
func sleepsOf(pid int) uint64 {
	total := uint64(0)
	for _, task := range tasksOf(pid) {
		total += statusField(filepath.Join(task, "status"), "voluntary_ctxt_switches:")
	}
	return total
}

// memory is the memory of a process in KiB: resident, proportional (shared
// pages count in part), and anonymous (without a file behind it).
type memory struct{ rss, pss, anonymous uint64 }

func memoryOf(pid int) memory {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	return memory{statusField(path, "Rss:"), statusField(path, "Pss:"), statusField(path, "Anonymous:")}
}

// peakOf is the peak resident memory of a process, in KiB.
func peakOf(pid int) uint64 { return statusField(fmt.Sprintf("/proc/%d/status", pid), "VmHWM:") }

func threadsOf(pid int) uint64 { return statusField(fmt.Sprintf("/proc/%d/status", pid), "Threads:") }

func tasksOf(pid int) []string {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	return tasks
}

// statusField is the number after a name in a file of /proc.
func statusField(path, name string) uint64 {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if fields := strings.Fields(rest); len(fields) > 0 {
				number, _ := strconv.ParseUint(fields[0], 10, 64)
				return number
			}
		}
	}
	return 0
}

// counts replace the buffers of a session, so that a measurement does not
// include their cost.
type counts struct{ stdout, records *counter }

func newCounts() *counts { return &counts{stdout: newCounter(), records: newCounter()} }

// logger counts records and writes nothing.
func (c *counts) logger() hclog.Logger {
	return countingLogger{Logger: hclog.NewNullLogger(), records: c.records}
}

// countingLogger accepts every level: the library does not parse records that
// its logger drops.
type countingLogger struct {
	hclog.Logger
	records *counter
}

func (l countingLogger) GetLevel() hclog.Level     { return hclog.Trace }
func (l countingLogger) Named(string) hclog.Logger { return l }
func (l countingLogger) Trace(string, ...any)      { l.records.add(1) }
func (l countingLogger) Debug(string, ...any)      { l.records.add(1) }
func (l countingLogger) Info(string, ...any)       { l.records.add(1) }
func (l countingLogger) Warn(string, ...any)       { l.records.add(1) }
func (l countingLogger) Error(string, ...any)      { l.records.add(1) }

// counter counts and can be waited for. As a writer it counts bytes.
type counter struct {
	mutex   sync.Mutex
	changed *sync.Cond
	count   int
}

func newCounter() *counter {
	c := &counter{}
	c.changed = sync.NewCond(&c.mutex)
	return c
}

func (c *counter) Write(data []byte) (int, error) {
	c.add(len(data))
	return len(data), nil
}

func (c *counter) add(n int) {
	c.mutex.Lock()
	c.count += n
	c.mutex.Unlock()
	c.changed.Broadcast()
}

func (c *counter) now() int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.count
}

func (c *counter) wait(wanted int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for c.count < wanted {
		c.changed.Wait()
	}
}
