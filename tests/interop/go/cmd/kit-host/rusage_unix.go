//go:build unix

package main

import (
	"syscall"
	"time"
)

// cpuTime is the CPU time this process has used, without its children.
func cpuTime() time.Duration { return cpuTimeOf(syscall.RUSAGE_SELF) }

// childrenCPU is the CPU time of the children of this process that have
// exited.
func childrenCPU() time.Duration { return cpuTimeOf(syscall.RUSAGE_CHILDREN) }

func cpuTimeOf(who int) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(who, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
