//! The filter of system calls.
//!
//! The filter allows all calls but those that are listed here, so that programs in any language run. Calls that are newer than the list
//! fail with ENOSYS, as on a kernel without them: programs fall back to older calls, which the list knows.

mod program;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, PoisonError},
};

use libc::{
    AF_INET, AF_INET6, AF_UNIX, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID,
    CLONE_NEWUSER, CLONE_NEWUTS, IPPROTO_TCP, IPPROTO_UDP, MAP_ANONYMOUS, MAP_SHARED, MSG_FASTOPEN,
    SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_STREAM, c_long,
};
use seccompiler::{BpfProgram, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use crate::{network::Network, sandbox::Sandbox, system_calls::SystemCalls};

/// The filter of a sandbox. The last one is kept, because most hosts start plugins with few different sandboxes.
pub(super) fn of(sandbox: &Sandbox, refuses_connect: bool) -> io::Result<Arc<BpfProgram>> {
    static LAST: Mutex<Option<(Kind, Arc<BpfProgram>)>> = Mutex::new(None);
    let kind = Kind {
        system_calls: sandbox.system_calls.clone(),
        network: sandbox.network.clone(),
        limits_memory: sandbox.limits.memory.is_some(),
        refuses_connect,
    };
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, filter)) = &*last
        && *known == kind
    {
        return Ok(Arc::clone(filter));
    }
    let filter = Arc::new(compile(&kind)?);
    *last = Some((kind, Arc::clone(&filter)));
    Ok(filter)
}

/// What a filter depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind {
    system_calls: BTreeSet<SystemCalls>,
    network: Network,
    limits_memory: bool,
    refuses_connect: bool,
}

fn compile(kind: &Kind) -> io::Result<BpfProgram> {
    let allows = |group| kind.system_calls.contains(&group);
    let mut refused = Refused::default();
    refused.always(ALWAYS);
    if !allows(SystemCalls::IoUring) {
        refused.always(IO_URING);
    }
    if !allows(SystemCalls::FileMetadata) {
        refused.always(FILE_METADATA);
        // Without a path the call changes the times of an open file.
        refused.when(libc::SYS_utimensat, [wide(1, SeccompCmpOp::Ne, 0)])?;
    }
    if !allows(SystemCalls::Debugging) {
        refused.always(&[libc::SYS_ptrace]);
    }
    if !allows(SystemCalls::Namespaces) {
        refused.always(&[libc::SYS_unshare]);
        for namespace in NAMESPACES {
            refused.when(libc::SYS_clone, [has_bits(0, namespace)])?;
        }
    }
    refused.other_processes()?;
    refused.terminals()?;
    refused.sockets(&kind.network, kind.refuses_connect)?;
    if kind.limits_memory {
        refused.shared_memory()?;
    }
    refused.compile(!allows(SystemCalls::Namespaces))
}

/// Whether this kernel filters system calls. Filters the calling thread.
pub(super) fn is_possible() -> bool {
    let filter = Refused::default().compile(false);
    filter.is_ok_and(|filter| seccompiler::apply_filter(&filter).is_ok())
}

/// The calls that are refused, each always or by its arguments.
#[derive(Debug, Default)]
struct Refused(BTreeMap<i64, Vec<SeccompRule>>);

impl Refused {
    fn always(&mut self, calls: &[c_long]) {
        for call in calls {
            self.0.insert(*call, Vec::new());
        }
    }

    /// Refuses a call whose arguments meet all conditions.
    fn when<const N: usize>(
        &mut self,
        call: c_long,
        conditions: [Result<SeccompCondition, seccompiler::BackendError>; N],
    ) -> io::Result<()> {
        let conditions = conditions.into_iter().collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
        let rule = SeccompRule::new(conditions).map_err(io::Error::other)?;
        self.0.entry(call).or_default().push(rule);
        Ok(())
    }

    /// Limits and priorities of other processes, and new personalities.
    fn other_processes(&mut self) -> io::Result<()> {
        for call in [
            libc::SYS_prlimit64,
            libc::SYS_sched_setaffinity,
            libc::SYS_sched_setattr,
            libc::SYS_sched_setparam,
            libc::SYS_sched_setscheduler,
        ] {
            self.when(call, [differs(0, 0)])?;
        }
        self.when(libc::SYS_setpriority, [differs(0, PRIO_PROCESS)])?;
        self.when(libc::SYS_setpriority, [differs(1, 0)])?;
        self.when(libc::SYS_ioprio_set, [differs(0, IOPRIO_WHO_PROCESS)])?;
        self.when(libc::SYS_ioprio_set, [differs(1, 0)])?;
        // The second value asks for the present personality.
        self.when(libc::SYS_personality, [differs(0, 0), differs(0, u32::MAX)])
    }

    /// Input that a terminal would take for that of its user.
    fn terminals(&mut self) -> io::Result<()> {
        self.when(libc::SYS_ioctl, [equals(1, TIOCSTI)])?;
        self.when(libc::SYS_ioctl, [equals(1, TIOCLINUX)])
    }

    fn sockets(&mut self, network: &Network, refuses_connect: bool) -> io::Result<()> {
        let is_only = |family| differs(0, family);
        if network.is_none() {
            self.when(libc::SYS_socket, [is_only(number(AF_UNIX))])?;
        } else {
            self.when(
                libc::SYS_socket,
                [is_only(number(AF_UNIX)), is_only(number(AF_INET)), is_only(number(AF_INET6))],
            )?;
        }
        self.when(libc::SYS_socketpair, [is_only(number(AF_UNIX))])?;
        let families = [AF_INET, AF_INET6].map(number).into_iter().filter(|_| !network.is_none());
        for family in families {
            let of = |kind| [equals(0, family), is_of_kind(kind)];
            for kind in [SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET] {
                self.when(libc::SYS_socket, of(kind))?;
            }
            // Landlock knows the ports of TCP, not those of MPTCP and SCTP.
            if !network.allows_tcp() {
                self.when(libc::SYS_socket, of(SOCK_STREAM))?;
            } else if !network.is_all_tcp() {
                let [family, kind] = of(SOCK_STREAM);
                self.when(libc::SYS_socket, [family, kind, differs(2, 0), differs(2, number(IPPROTO_TCP))])?;
            }
            let [family, kind] = of(SOCK_DGRAM);
            if network.allows_udp() {
                self.when(libc::SYS_socket, [family, kind, differs(2, 0), differs(2, number(IPPROTO_UDP))])?;
            } else {
                self.when(libc::SYS_socket, [family, kind])?;
            }
        }
        if network.allows_tcp() && !network.is_all_tcp() {
            // A connection that is made with its first bytes is not a connection to Landlock.
            for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
                self.when(call, [has_bits(flags, MSG_FASTOPEN)])?;
            }
        }
        if refuses_connect {
            self.always(&[libc::SYS_connect]);
            // Datagrams name their receiver without a connection. The kernel takes raw Unix sockets for those of datagrams.
            for call in [libc::SYS_socket, libc::SYS_socketpair] {
                for kind in [SOCK_DGRAM, SOCK_RAW] {
                    self.when(call, [equals(0, number(AF_UNIX)), is_of_kind(kind)])?;
                }
            }
        }
        Ok(())
    }

    /// Memory that processes share, which no limit counts.
    fn shared_memory(&mut self) -> io::Result<()> {
        let both = u64::from(number(MAP_SHARED | MAP_ANONYMOUS));
        self.when(
            libc::SYS_mmap,
            [SeccompCondition::new(3, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(both), both)],
        )?;
        self.always(&[libc::SYS_memfd_create, libc::SYS_memfd_secret]);
        Ok(())
    }

    /// The filter, which hides newer calls too.
    fn compile(self, hides_clone3: bool) -> io::Result<BpfProgram> {
        // The flags of clone3 are in memory, where a filter cannot see them.
        program::assemble(self.0, NEWEST_KNOWN, if hides_clone3 { &[CLONE3] } else { &[] })
    }
}

type Condition = Result<SeccompCondition, seccompiler::BackendError>;

/// The kernel reads 32 bits of such an argument.
fn equals(argument: u8, value: u32) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value.into())
}

fn differs(argument: u8, value: u32) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value.into())
}

fn wide(argument: u8, operation: SeccompCmpOp, value: u64) -> Condition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operation, value)
}

fn has_bits(argument: u8, bits: i32) -> Condition {
    let bits = u64::from(number(bits));
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bits), bits)
}

/// Whether the second argument of `socket` asks for sockets of this kind, with any flags.
fn is_of_kind(kind: i32) -> Condition {
    let mask = SeccompCmpOp::MaskedEq(KINDS_OF_SOCKETS);
    SeccompCondition::new(1, SeccompCmpArgLen::Dword, mask, u64::from(number(kind)))
}

/// A constant of C as the 32 bits that the kernel compares.
const fn number(value: i32) -> u32 {
    value.cast_unsigned()
}

/// Calls that no plugin needs.
const ALWAYS: &[c_long] = &[
    // The machine: modules, another kernel, clocks, swap, quotas, accounting, the kernel's log.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    #[cfg(not(target_arch = "riscv64"))]
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    // File systems and namespaces of others.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_setns,
    // Parts of the kernel with a large surface.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Other processes.
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Memory, semaphores and queues that are found by a number or a name, whichever process made them.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

const IO_URING: &[c_long] =
    &[libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

const FILE_METADATA: &[c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    SETXATTRAT,
    REMOVEXATTRAT,
    FILE_SETATTR,
];

const NAMESPACES: [i32; 7] =
    [CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET];

// Calls that libc does not know for all architectures. New calls have the same number on each.
const CLONE3: u32 = 435;
const FCHMODAT2: c_long = 452;
const SETXATTRAT: c_long = 463;
const REMOVEXATTRAT: c_long = 466;
const OPEN_TREE_ATTR: c_long = 467;
const FILE_SETATTR: c_long = 469;

/// The newest call that the lists take into account: `listns` of Linux 6.19. Numbers of the x32 ABI are above it too.
const NEWEST_KNOWN: u32 = 470;

const SOCK_DCCP: i32 = 6;
const SOCK_PACKET: i32 = 10;
/// The bits of a socket's type without its flags.
const KINDS_OF_SOCKETS: u64 = 0xf;

const PRIO_PROCESS: u32 = 0;
const IOPRIO_WHO_PROCESS: u32 = 1;

const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

#[cfg(test)]
mod tests {
    use libc::EPERM;

    use super::*;
    use crate::Limits;

    /// Calls `attempt` on a thread with the filter of the sandbox.
    fn within<T: Send>(sandbox: &Sandbox, refuses_connect: bool, attempt: impl FnOnce() -> T + Send) -> T {
        let filter = of(sandbox, refuses_connect).expect("valid");
        std::thread::scope(|scope| {
            let confined = || {
                seccompiler::apply_filter(&filter).expect("this kernel filters system calls");
                attempt()
            };
            scope.spawn(confined).join().expect("no panic")
        })
    }

    #[test]
    fn filters_of_all_networks_compile_and_are_short_enough() {
        for network in [Network::none(), Network::none().connect([1]), Network::none().udp(), Network::all()]
        {
            for refuses_connect in [false, true] {
                let sandbox = Sandbox::new().network(network.clone()).limits(Limits::new().memory(1));
                let filter = of(&sandbox, refuses_connect).expect("valid");
                assert!(filter.len() < 1000, "{network}: {}", filter.len());
            }
        }
    }

    #[test]
    fn sockets_are_refused_unless_the_network_allows_them() {
        if !std::thread::spawn(is_possible).join().expect("no panic") {
            eprintln!("skipped: this kernel does not filter system calls");
            return;
        }
        let udp = || std::net::UdpSocket::bind("127.0.0.1:0").map(drop).map_err(|error| error.raw_os_error());
        let tcp =
            || std::net::TcpListener::bind("127.0.0.1:0").map(drop).map_err(|error| error.raw_os_error());
        for (network, tcp_allowed, udp_allowed) in [
            (Network::none(), false, false),
            (Network::none().udp(), false, true),
            (Network::none().listen([0]), true, false),
            (Network::all(), true, true),
        ] {
            let sandbox = Sandbox::new().network(network.clone());
            let (tcp, udp) = within(&sandbox, false, || (tcp(), udp()));
            let expected = |allowed: bool| if allowed { Ok(()) } else { Err(Some(EPERM)) };
            assert_eq!((tcp, udp), (expected(tcp_allowed), expected(udp_allowed)), "{network}");
        }
    }
}
