//go:build linux

// Command escaping-plugin is a plugin that tries to get out of its sandbox, as
// the plugin of that name in Rust. It makes the attempts of its arguments
// before it serves, and writes the error number of each into the file
// "results" of its temporary directory.
//
//	escaping-plugin DIRECTORY DESCRIPTOR PORT NAME ATTEMPT...
//
// An ATTEMPT is a name, and for a plain system call its number and arguments.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// outside is what the attempts need to know of the host.
type outside struct {
	dir        string
	descriptor int64
	port       string
	name       string
}

// Arguments that stand for the pid of the host and for the descriptor.
const (
	hostPid    = -1000
	descriptor = -1001
)

func main() {
	switch os.Args[1] {
	case "child":
		_, err := os.ReadFile(os.Args[2])
		os.Exit(int(number(err)))
	case "large-file":
		os.Exit(int(number(os.WriteFile(os.Args[2], make([]byte, 4<<20), 0o600))))
	}
	inherited, _ := strconv.ParseInt(os.Args[2], 10, 64)
	host := outside{os.Args[1], inherited, os.Args[3], os.Args[4]}
	var results strings.Builder
	for _, attempt := range os.Args[5:] {
		words := strings.Fields(attempt)
		result := syscall.Errno(0)
		if len(words) > 1 {
			result = call(words[1:], host)
		} else {
			result = number(try(words[0], host))
		}
		fmt.Fprintf(&results, "%s %d\n", words[0], result)
	}
	if err := os.WriteFile(own("results"), []byte(results.String()), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: 1, MagicCookieKey: "ESCAPING_PLUGIN", MagicCookieValue: "cookie",
		},
		Plugins:    plugin.PluginSet{"none": &noPlugin{}},
		GRPCServer: plugin.DefaultGRPCServer,
	})
}

// noPlugin serves nothing. With it the server is one of gRPC.
type noPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (*noPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (*noPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// own is a file of the plugin itself.
func own(name string) string { return filepath.Join(os.TempDir(), name) }

// number is the error number of err, and 255 for an error without one.
func number(err error) syscall.Errno {
	var errno syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &errno):
		return errno
	default:
		fmt.Fprintln(os.Stderr, err)
		return 255
	}
}

func call(words []string, host outside) syscall.Errno {
	var numbers [7]uintptr
	for i, word := range words {
		value, _ := strconv.ParseInt(word, 10, 64)
		switch {
		case i > 0 && value == hostPid:
			value = int64(os.Getppid())
		case i > 0 && value == descriptor:
			value = host.descriptor
		}
		numbers[i] = uintptr(value)
	}
	n := numbers
	_, _, errno := syscall.RawSyscall6(n[0], n[1], n[2], n[3], n[4], n[5], n[6])
	return errno
}

func try(name string, host outside) error {
	file, mine := filepath.Join(host.dir, name), own(name)
	ofHost := func(entry string) string { return fmt.Sprintf("/proc/%d/%s", os.Getppid(), entry) }
	open := func(path string, flags int) error {
		opened, err := os.OpenFile(path, flags, 0o600)
		if err == nil {
			opened.Close()
		}
		return err
	}
	read := func(path string) error { _, err := os.ReadFile(path); return err }
	list := func(path string) error { _, err := os.ReadDir(path); return err }
	self := func(args ...string) error { return exec.Command(program(), args...).Run() }
	switch name {
	case "read_shadow":
		return read("/etc/shadow")
	case "read_outside":
		return read(file)
	case "list_outside":
		return list(host.dir)
	case "create_outside":
		return open(filepath.Join(host.dir, "created"), os.O_CREATE|os.O_WRONLY)
	case "append_outside":
		return open(file, os.O_APPEND|os.O_WRONLY)
	case "truncate_outside":
		return os.Truncate(file, 0)
	case "remove_outside":
		return syscall.Unlink(file)
	case "rename_in":
		return os.Rename(file, mine)
	case "rename_out":
		if err := os.WriteFile(mine, nil, 0o600); err != nil {
			return err
		}
		return os.Rename(mine, filepath.Join(host.dir, "renamed"))
	case "hard_link":
		return os.Link(file, mine)
	case "symlink":
		if err := os.Symlink(file, mine); err != nil {
			return err
		}
		return read(mine)
	case "make_device":
		return syscall.Mknod(mine, syscall.S_IFCHR|0o600, 1<<8|3)
	case "execute_written":
		if err := os.WriteFile(mine, []byte("#!/bin/sh\n"), 0o755); err != nil {
			return err
		}
		return exec.Command(mine).Run()
	case "execute_shell":
		return exec.Command("/bin/sh", "-c", "true").Run()
	case "execute_setuid":
		return exec.Command("/bin/su", "--help").Run()
	case "host_environment":
		return read(ofHost("environ"))
	case "host_memory":
		return open(ofHost("mem"), os.O_RDONLY)
	case "host_descriptors":
		return list(ofHost("fd"))
	case "process_list":
		return list("/proc")
	case "kernel_setting":
		return open("/proc/sys/kernel/hostname", os.O_WRONLY)
	case "sysfs":
		return list("/sys")
	case "terminal":
		return open("/dev/tty", os.O_WRONLY)
	case "kernel_log":
		return open("/dev/kmsg", os.O_RDONLY)
	case "child":
		var exit *exec.ExitError
		if err := self("child", "/etc/shadow"); !errors.As(err, &exit) {
			return err
		}
		return syscall.Errno(exit.ExitCode())
	case "change_mode":
		return os.Chmod(file, 0o777)
	case "change_owner":
		return os.Lchown(file, os.Getuid(), os.Getgid())
	case "change_times":
		return syscall.UtimesNano(file, []syscall.Timespec{{Sec: 1}, {Sec: 1}})
	case "change_attribute":
		return syscall.Setxattr(file, "user.a", nil, 0)
	case "tcp_loopback":
		return dial("tcp", "127.0.0.1:"+host.port)
	case "other_socket":
		return dial("unix", filepath.Join(host.dir, "socket"))
	case "other_datagram":
		return dial("unixgram", filepath.Join(host.dir, "datagrams"))
	case "abstract_socket":
		return dial("unix", "@"+host.name)
	case "secret_variable":
		if _, found := os.LookupEnv("PATH"); !found {
			return syscall.ENOENT
		}
		return nil
	case "open_files":
		var files []*os.File
		defer func() {
			for _, file := range files {
				file.Close()
			}
		}()
		for range 100_000 {
			file, err := os.Open("/dev/null")
			if err != nil {
				return err
			}
			files = append(files, file)
		}
		return nil
	case "large_file":
		if self("large-file", mine) != nil {
			return syscall.EFBIG
		}
		return nil
	case "core_file":
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil || limit.Max > 0 {
			return err
		}
		return syscall.EFBIG
	default:
		return errors.New("unknown attempt " + name)
	}
}

func program() string {
	path, _ := os.Executable()
	return path
}

func dial(network, address string) error {
	connection, err := net.Dial(network, address)
	if err == nil {
		connection.Close()
	}
	return err
}
