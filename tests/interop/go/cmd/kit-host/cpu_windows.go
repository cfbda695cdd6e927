package main

import (
	"syscall"
	"time"
)

// cpuTime is the CPU time this process has used.
func cpuTime() time.Duration {
	process, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0
	}
	var created, exited, system, user syscall.Filetime
	if err := syscall.GetProcessTimes(process, &created, &exited, &system, &user); err != nil {
		return 0
	}
	// Filetime counts in steps of 100 ns. Its method Nanoseconds is for dates.
	ticks := func(t syscall.Filetime) int64 { return int64(t.HighDateTime)<<32 | int64(t.LowDateTime) }
	return time.Duration(100 * (ticks(system) + ticks(user)))
}

// childrenCPU is unknown here, and so nothing: the system does not add up the
// times of children.
func childrenCPU() time.Duration { return 0 }
