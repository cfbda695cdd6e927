//! What a confined plugin tries in order to get out of its sandbox: the list for the plugin in Rust, the plugin in Go, and the page of
//! the guide.
//!
//! Attempts by plain system calls have harmless arguments: unconfined they succeed, or fail for the arguments. So a
//! refusal by the sandbox differs from every other failure in its error number.

use libc::{
    CLONE_FS, CLONE_NEWUSER, EACCES, EAGAIN, EBADF, EFBIG, EMFILE, ENOENT, ENOMEM, ENOSYS, EPERM, EXDEV,
    c_long,
};

/// One attempt.
#[derive(Debug, Clone, Copy)]
pub struct Escape {
    /// Its name.
    pub name: &'static str,
    /// What the plugin tries, for the guide.
    pub what: &'static str,
    /// The layer that stops it.
    pub layer: &'static str,
    /// The call and its arguments, if a plain call makes the attempt. Otherwise the plugins have code for it.
    pub call: Option<(c_long, [i64; 6])>,
    /// The error numbers of a refusal.
    pub refusals: &'static [i32],
    /// Whether the attempt gets further than this for root without a sandbox, on the machines of the tests.
    pub has_control: bool,
}

/// Stands for the pid of the host in the arguments of a call.
pub const HOST: i64 = -1000;
/// Stands for the number of the inherited descriptor.
pub const DESCRIPTOR: i64 = -1001;

const REFUSED: &[i32] = &[EPERM, EACCES];
const MOVED: &[i32] = &[EXDEV, EACCES];

const fn by_code(name: &'static str, layer: &'static str, what: &'static str) -> Escape {
    Escape { name, what, layer, call: None, refusals: REFUSED, has_control: true }
}

const fn by_call(
    name: &'static str,
    layer: &'static str,
    what: &'static str,
    number: c_long,
    args: [i64; 6],
) -> Escape {
    Escape { name, what, layer, call: Some((number, args)), refusals: REFUSED, has_control: true }
}

impl Escape {
    const fn refused_with(self, refusals: &'static [i32]) -> Self {
        Self { refusals, ..self }
    }

    const fn uncontrolled(self) -> Self {
        Self { has_control: false, ..self }
    }

    /// The argument for the plugins: name, number of the call and its arguments.
    #[must_use]
    pub fn encoded(&self) -> String {
        let call = self.call.map(|(number, args)| {
            let args = args.map(|arg| arg.to_string());
            format!(" {number} {}", args.join(" "))
        });
        format!("{}{}", self.name, call.unwrap_or_default())
    }
}

const NO_ARGS: [i64; 6] = [0; 6];

/// All attempts, in the order of the guide.
pub const ESCAPES: &[Escape] = &[
    by_code("read_shadow", "filesystem", "read `/etc/shadow`"),
    by_code("read_outside", "filesystem", "read a file of the host's user"),
    by_code("list_outside", "filesystem", "list a directory of the host's user"),
    by_code("create_outside", "filesystem", "create a file outside"),
    by_code("append_outside", "filesystem", "open a file outside for writing"),
    by_code("truncate_outside", "filesystem", "truncate a file outside"),
    by_code("remove_outside", "filesystem", "remove a file outside"),
    by_code("rename_in", "filesystem", "move a file from outside into its own directory").refused_with(MOVED),
    by_code("rename_out", "filesystem", "move a file of its own to the outside").refused_with(MOVED),
    by_code("hard_link", "filesystem", "make a hard link to a file outside, in its own directory")
        .refused_with(MOVED),
    by_code("symlink", "filesystem", "read a file outside through a symbolic link of its own"),
    by_code("make_device", "filesystem", "make a device in its own directory"),
    by_code("execute_written", "filesystem", "execute a program that it has written"),
    by_code("execute_shell", "filesystem", "execute `/bin/sh`"),
    by_code("execute_setuid", "filesystem", "execute `su`, a setuid program"),
    by_code("host_environment", "filesystem", "read the host's environment in `/proc`"),
    by_code("host_memory", "filesystem", "open the host's memory in `/proc`"),
    by_code("host_descriptors", "filesystem", "list the host's descriptors in `/proc`"),
    by_code("process_list", "filesystem", "list the processes in `/proc`"),
    by_code("kernel_setting", "filesystem", "open a setting of the kernel for writing"),
    by_code("sysfs", "filesystem", "list `/sys`"),
    by_code("terminal", "filesystem", "open the terminal `/dev/tty`").uncontrolled(),
    by_code("kernel_log", "filesystem", "open the kernel's log `/dev/kmsg`").uncontrolled(),
    by_code("child", "filesystem", "read `/etc/shadow` in a child process"),
    by_code("change_mode", "system_calls", "change the mode of a file outside"),
    by_code("change_owner", "system_calls", "change the owner of a file outside"),
    by_code("change_times", "system_calls", "change the times of a file outside"),
    by_code("change_attribute", "system_calls", "set an extended attribute of a file outside").uncontrolled(),
    by_call("signal_host", "signals", "signal the host", libc::SYS_kill, [HOST, 0, 0, 0, 0, 0]),
    by_call("signal_init", "signals", "signal the process 1", libc::SYS_kill, [1, 0, 0, 0, 0, 0]),
    by_call("trace_host", "system_calls", "trace the host", libc::SYS_ptrace, [2, HOST, 0, 0, 0, 0]),
    by_call(
        "read_host",
        "system_calls",
        "read the host's memory",
        libc::SYS_process_vm_readv,
        [HOST, 0, 0, 0, 0, 0],
    ),
    by_call(
        "write_host",
        "system_calls",
        "write the host's memory",
        libc::SYS_process_vm_writev,
        [HOST, 0, 0, 0, 0, 0],
    ),
    by_call(
        "steal_descriptor",
        "system_calls",
        "take a descriptor of the host",
        libc::SYS_pidfd_getfd,
        [-1, 0, 0, 0, 0, 0],
    ),
    by_call(
        "limit_host",
        "system_calls",
        "change the host's limits",
        libc::SYS_prlimit64,
        [HOST, 7, 0, 0, 0, 0],
    ),
    by_call(
        "slow_host",
        "system_calls",
        "change the host's priority",
        libc::SYS_setpriority,
        [9, HOST, 0, 0, 0, 0],
    ),
    by_call(
        "pin_host",
        "system_calls",
        "bind the host to a processor",
        libc::SYS_sched_setaffinity,
        [HOST, 0, 0, 0, 0, 0],
    ),
    by_code("tcp_loopback", "tcp", "connect to a TCP port of this machine"),
    by_call("tcp", "tcp", "make a TCP socket", libc::SYS_socket, [2, 1, 0, 0, 0, 0]),
    by_call("tcp6", "tcp", "make a TCP socket for IPv6", libc::SYS_socket, [10, 1, 0, 0, 0, 0])
        .uncontrolled(),
    by_call("mptcp", "tcp", "make a socket for TCP by several paths", libc::SYS_socket, [2, 1, 262, 0, 0, 0]),
    by_call("udp", "udp", "make a UDP socket", libc::SYS_socket, [2, 2, 0, 0, 0, 0]),
    by_call("raw", "system_calls", "make a raw socket", libc::SYS_socket, [2, 3, 1, 0, 0, 0]),
    by_call("netlink", "system_calls", "make a netlink socket", libc::SYS_socket, [16, 3, 0, 0, 0, 0]),
    by_call("packet", "system_calls", "make a packet socket", libc::SYS_socket, [17, 3, 0, 0, 0, 0]),
    by_call(
        "vsock",
        "system_calls",
        "make a socket to the hypervisor",
        libc::SYS_socket,
        [40, 1, 0, 0, 0, 0],
    ),
    by_call(
        "crypto",
        "system_calls",
        "make a socket of the kernel's cryptography",
        libc::SYS_socket,
        [38, 5, 0, 0, 0, 0],
    ),
    by_code("other_socket", "unix_sockets", "connect to the socket of another plugin"),
    by_code("other_datagram", "unix_sockets", "send a datagram to a Unix socket"),
    by_code("abstract_socket", "abstract_sockets", "connect to an abstract socket of the host"),
    by_call(
        "inherited",
        "descriptors",
        "use a descriptor that the host left open",
        libc::SYS_fcntl,
        [DESCRIPTOR, 1, 0, 0, 0, 0],
    )
    .refused_with(&[EBADF]),
    by_code("secret_variable", "environment", "read a variable of the host's environment")
        .refused_with(&[ENOENT]),
    by_call("mount", "system_calls", "mount a file system", libc::SYS_mount, NO_ARGS),
    by_call("unmount", "system_calls", "unmount a file system", libc::SYS_umount2, NO_ARGS),
    by_call("new_root", "system_calls", "change the root directory", libc::SYS_chroot, NO_ARGS),
    by_call("pivot_root", "system_calls", "replace the root file system", libc::SYS_pivot_root, NO_ARGS),
    by_call("new_mount", "system_calls", "mount by the newer interface", libc::SYS_fsopen, NO_ARGS),
    by_call(
        "file_handle",
        "system_calls",
        "open a file by its handle",
        libc::SYS_open_by_handle_at,
        [-1, 0, 0, 0, 0, 0],
    ),
    by_call(
        "namespace",
        "system_calls",
        "make a user namespace",
        libc::SYS_unshare,
        [CLONE_NEWUSER as i64 | 1, 0, 0, 0, 0, 0],
    ),
    by_call(
        "clone_namespace",
        "system_calls",
        "start a process in a new namespace",
        libc::SYS_clone,
        [(CLONE_NEWUSER | CLONE_FS) as i64, 0, 0, 0, 0, 0],
    ),
    by_call(
        "clone3",
        "system_calls",
        "start a process with flags that a filter cannot see",
        libc::SYS_clone3,
        NO_ARGS,
    )
    .refused_with(&[ENOSYS]),
    by_call("enter_namespace", "system_calls", "enter a namespace", libc::SYS_setns, [-1, 0, 0, 0, 0, 0]),
    by_call("module", "system_calls", "load a kernel module", libc::SYS_init_module, NO_ARGS),
    by_call("kexec", "system_calls", "load another kernel", libc::SYS_kexec_load, [0, 0, 0, 0xdead, 0, 0]),
    by_call("reboot", "system_calls", "restart the machine", libc::SYS_reboot, NO_ARGS),
    by_call("swap", "system_calls", "switch swap on", libc::SYS_swapon, NO_ARGS),
    by_call("clock", "system_calls", "set the clock", libc::SYS_clock_settime, NO_ARGS),
    by_call(
        "host_name",
        "system_calls",
        "set the name of the machine",
        libc::SYS_sethostname,
        [0, -1, 0, 0, 0, 0],
    ),
    by_call("bpf", "system_calls", "load a BPF program", libc::SYS_bpf, [-1, 0, 0, 0, 0, 0]),
    by_call("perf", "system_calls", "measure other processes", libc::SYS_perf_event_open, NO_ARGS),
    by_call("userfaultfd", "system_calls", "handle page faults", libc::SYS_userfaultfd, [0; 6]),
    by_call("io_uring", "system_calls", "make an io_uring", libc::SYS_io_uring_setup, NO_ARGS),
    by_call("keys", "system_calls", "read a key ring of the kernel", libc::SYS_keyctl, [0, -3, 0, 0, 0, 0]),
    by_call("add_key", "system_calls", "add a key to the kernel", libc::SYS_add_key, NO_ARGS),
    by_call(
        "fanotify",
        "system_calls",
        "watch the files of other processes",
        libc::SYS_fanotify_init,
        [-1, 0, 0, 0, 0, 0],
    ),
    by_call(
        "personality",
        "system_calls",
        "switch address randomization off",
        libc::SYS_personality,
        [0x0004_0000, 0, 0, 0, 0, 0],
    ),
    by_call(
        "terminal_input",
        "system_calls",
        "put input into the terminal (TIOCSTI)",
        libc::SYS_ioctl,
        [0, 0x5412, 0, 0, 0, 0],
    ),
    by_call(
        "terminal_paste",
        "system_calls",
        "put a selection into the console (TIOCLINUX)",
        libc::SYS_ioctl,
        [0, 0x541c, 0, 0, 0, 0],
    ),
    by_call(
        "shared_segment",
        "system_calls",
        "find shared memory of other processes",
        libc::SYS_shmget,
        [0x7a7a_7a7a, 1, 0, 0, 0, 0],
    ),
    by_call(
        "semaphore",
        "system_calls",
        "find semaphores of other processes",
        libc::SYS_semget,
        [0x7a7a_7a7a, 1, 0, 0, 0, 0],
    ),
    by_call("message_queue", "system_calls", "open a message queue", libc::SYS_mq_open, NO_ARGS),
    by_call("memory", "memory", "take 8 GiB of memory", libc::SYS_mmap, [0, 8 << 30, 3, 0x22, -1, 0])
        .refused_with(&[ENOMEM]),
    by_call(
        "shared_memory",
        "memory",
        "take memory that no limit counts",
        libc::SYS_mmap,
        [0, 4096, 3, 0x21, -1, 0],
    ),
    by_call("memory_file", "memory", "make a file in memory", libc::SYS_memfd_create, NO_ARGS),
    by_code("open_files", "open_files", "open files without an end").refused_with(&[EMFILE]).uncontrolled(),
    by_code("large_file", "file_size", "fill the disk with one file").refused_with(&[EFBIG]),
    by_code("core_file", "core_size", "leave a core file").refused_with(&[EFBIG]).uncontrolled(),
    by_code("fork_bomb", "processes", "start processes without an end")
        .refused_with(&[EAGAIN])
        .uncontrolled(),
];

/// The table of the guide.
#[must_use]
pub fn table() -> String {
    let row = |escape: &Escape| format!("| {} | `{}` |\n", escape.what, escape.layer);
    let rows: String = ESCAPES.iter().map(row).collect();
    format!("| the plugin tries to | refused by the layer |\n|---|---|\n{rows}")
}

/// The file in which a plugin writes the results, in the directory of its socket.
#[must_use]
pub fn results_of(endpoint: &rpcplugin::Endpoint) -> Option<std::path::PathBuf> {
    match endpoint {
        rpcplugin::Endpoint::Unix(path) => Some(path.as_path().parent()?.join("tmp/results")),
        _ => None,
    }
}
