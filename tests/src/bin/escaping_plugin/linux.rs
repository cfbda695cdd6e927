//! The attempts, with the calls of Linux.
#![expect(unsafe_code, reason = "attempts are plain system calls with numbers as arguments")]
#![expect(clippy::disallowed_methods, reason = "the plugin looks for a variable of the host")]

use std::{
    env,
    ffi::CString,
    fs,
    io::{self, Write as _},
    net::TcpStream,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink},
            net::{SocketAddr, UnixDatagram, UnixStream},
            process::ExitStatusExt as _,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use rpcplugin::{
    Host, MagicCookie, Serve, Services,
    sandbox::{Limits, Sandbox},
};
use rpcplugin_tests::escapes::{DESCRIPTOR, ESCAPES, HOST};

/// What the attempts need to know of the host. The order is that of the arguments.
struct Outside {
    /// A directory with a file for each attempt.
    dir: PathBuf,
    descriptor: i64,
    port: u16,
    /// The name of an abstract socket.
    name: String,
}

pub(super) fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.first().map_or("", |role| role) {
        // The child of an attempt: the exit status is the error number.
        "child" => ExitCode::from(u8::try_from(errno(fs::read(&args[1]).map(drop))).unwrap_or(1)),
        "large-file" => match fs::write(&args[1], vec![0; 4 << 20]) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => ExitCode::from(u8::try_from(error.raw_os_error().unwrap_or(1)).unwrap_or(1)),
        },
        "burn" => loop {
            std::hint::black_box(0);
        },
        "wait" => loop {
            std::thread::park();
        },
        "as-host" => as_host(),
        _ => plugin(&args),
    }
}

fn plugin(args: &[String]) -> ExitCode {
    let outside = Outside {
        dir: (&args[0]).into(),
        descriptor: args[1].parse().unwrap_or(-1),
        port: args[2].parse().unwrap_or(0),
        name: args[3].clone(),
    };
    let mut results = String::new();
    for attempt in &args[4..] {
        let mut words = attempt.split(' ');
        let name = words.next().unwrap_or_default();
        let numbers: Vec<i64> = words.filter_map(|word| word.parse().ok()).collect();
        let error = match &numbers[..] {
            [] => errno(attempt_by_code(name, &outside)),
            [number, args @ ..] => call(*number, args, &outside),
        };
        results += &format!("{name} {error}\n");
    }
    fs::write(temporary().join("results"), results).expect("its own directory");
    let cookie = MagicCookie::new("ESCAPING_PLUGIN", "cookie").expect("a key and a value");
    Serve::new(cookie).version_with(1, |_| Services::new()).main()
}

fn temporary() -> PathBuf {
    env::temp_dir()
}

/// The error number of a result, 0 for success, and -1 for an error without a number.
fn errno(result: io::Result<()>) -> i32 {
    result.map_or_else(|error| error.raw_os_error().unwrap_or(-1), |()| 0)
}

fn call(number: i64, args: &[i64], outside: &Outside) -> i32 {
    let arg = |n: usize| match args.get(n).copied().unwrap_or(0) {
        HOST => i64::from(std::os::unix::process::parent_id()),
        DESCRIPTOR => outside.descriptor,
        arg => arg,
    };
    // SAFETY: The arguments of the list name no memory of this process: pointers are null.
    let result = unsafe { libc::syscall(number, arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)) };
    if result < 0 { io::Error::last_os_error().raw_os_error().unwrap_or(-1) } else { 0 }
}

fn attempt_by_code(name: &str, outside: &Outside) -> io::Result<()> {
    let file = outside.dir.join(name);
    let own = temporary().join(name);
    let parent = std::os::unix::process::parent_id();
    let host = |entry: &str| PathBuf::from(format!("/proc/{parent}/{entry}"));
    let open_for_writing = |path: &Path| fs::OpenOptions::new().write(true).open(path).map(drop);
    match name {
        "read_shadow" => fs::read("/etc/shadow").map(drop),
        "read_outside" => fs::read(file).map(drop),
        "list_outside" => fs::read_dir(&outside.dir).map(drop),
        "create_outside" => fs::File::create(outside.dir.join("created")).map(drop),
        "append_outside" => fs::OpenOptions::new().append(true).open(file).map(drop),
        "truncate_outside" => {
            let path = CString::new(file.as_os_str().as_encoded_bytes())?;
            // SAFETY: The path is a string that ends with a null byte.
            check(unsafe { libc::truncate(path.as_ptr(), 0) })
        }
        "remove_outside" => fs::remove_file(file),
        "rename_in" => fs::rename(file, own),
        "rename_out" => {
            fs::write(&own, "")?;
            fs::rename(own, outside.dir.join("renamed"))
        }
        "hard_link" => fs::hard_link(file, own),
        "symlink" => {
            symlink(file, &own)?;
            fs::read(own).map(drop)
        }
        "make_device" => {
            let path = CString::new(own.as_os_str().as_encoded_bytes())?;
            // SAFETY: The path is a string that ends with a null byte. The device is that of `/dev/null`.
            check(unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(1, 3)) })
        }
        "execute_written" => {
            fs::OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o755)
                .open(&own)?
                .write_all(b"#!/bin/sh\n")?;
            run(&mut Command::new(own))
        }
        "execute_shell" => run(Command::new("/bin/sh").args(["-c", "true"])),
        "execute_setuid" => run(Command::new("/bin/su").arg("--help")),
        "host_environment" => fs::read(host("environ")).map(drop),
        "host_memory" => fs::File::open(host("mem")).map(drop),
        "host_descriptors" => fs::read_dir(host("fd")).map(drop),
        "process_list" => fs::read_dir("/proc").map(drop),
        "kernel_setting" => open_for_writing(Path::new("/proc/sys/kernel/hostname")),
        "sysfs" => fs::read_dir("/sys").map(drop),
        "terminal" => open_for_writing(Path::new("/dev/tty")),
        "kernel_log" => fs::File::open("/dev/kmsg").map(drop),
        "child" => {
            let status = Command::new(env::current_exe()?).args(["child", "/etc/shadow"]).status()?;
            match status.code() {
                Some(0) => Ok(()),
                Some(code) => Err(io::Error::from_raw_os_error(code)),
                None => Err(io::ErrorKind::Other.into()),
            }
        }
        "change_mode" => fs::set_permissions(file, fs::Permissions::from_mode(0o777)),
        "change_owner" => {
            let now = fs::metadata(&file)?;
            std::os::unix::fs::lchown(file, Some(now.uid()), Some(now.gid()))
        }
        "change_times" => {
            let path = CString::new(file.as_os_str().as_encoded_bytes())?;
            // SAFETY: The path is a string that ends with a null byte, and no times stand for now.
            check(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), std::ptr::null(), 0) })
        }
        "change_attribute" => {
            let path = CString::new(file.as_os_str().as_encoded_bytes())?;
            // SAFETY: Both are strings that end with a null byte, and the value has the length 0.
            check(unsafe { libc::setxattr(path.as_ptr(), c"user.a".as_ptr(), std::ptr::null(), 0, 0) })
        }
        "tcp_loopback" => TcpStream::connect(("127.0.0.1", outside.port)).map(drop),
        "other_socket" => UnixStream::connect(outside.dir.join("socket")).map(drop),
        "other_datagram" => UnixDatagram::unbound()?.send_to(b"x", outside.dir.join("datagrams")).map(drop),
        "abstract_socket" => {
            let address = SocketAddr::from_abstract_name(outside.name.as_bytes())?;
            UnixStream::connect_addr(&address).map(drop)
        }
        "secret_variable" => match env::var_os("PATH") {
            Some(_) => Ok(()),
            None => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        },
        "open_files" => {
            let mut open = Vec::new();
            for _ in 0..100_000 {
                open.push(fs::File::open("/dev/null")?);
            }
            Ok(())
        }
        "large_file" => {
            let status =
                Command::new(env::current_exe()?).args(["large-file".as_ref(), own.as_os_str()]).status()?;
            let is_refused = status.signal() == Some(libc::SIGXFSZ) || status.code() == Some(libc::EFBIG);
            if is_refused { Err(io::Error::from_raw_os_error(libc::EFBIG)) } else { Ok(()) }
        }
        "core_file" => match rustix::process::getrlimit(rustix::process::Resource::Core).maximum {
            Some(0) => Err(io::Error::from_raw_os_error(libc::EFBIG)),
            _ => Ok(()),
        },
        "fork_bomb" => fork_bomb(),
        other => Err(io::Error::other(format!("unknown attempt {other}"))),
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn run(command: &mut Command) -> io::Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().map(drop)
}

/// Starts up to 200 processes, and ends them.
fn fork_bomb() -> io::Result<()> {
    let mut children: Vec<Child> = Vec::new();
    let program = env::current_exe()?;
    let result = (0..200).try_for_each(|_| {
        children.push(Command::new(&program).arg("wait").spawn()?);
        Ok(())
    });
    for child in &mut children {
        let _ = child.kill();
        let _ = child.wait();
    }
    result
}

/// Launches this program with a limit of processes, and prints what became of its attempt.
#[tokio::main]
async fn as_host() -> ExitCode {
    let cookie = MagicCookie::new("ESCAPING_PLUGIN", "cookie").expect("a key and a value");
    let escape = ESCAPES.iter().find(|escape| escape.name == "fork_bomb").expect("it is in the list");
    let program = env::current_exe().expect("it runs");
    let command = rpcplugin::Command::new(program)
        .args(["/", "-1", "0", "none"])
        .arg(escape.encoded())
        .sandbox(Sandbox::new().limits(Limits::new().processes(40)));
    match Host::new(cookie, 1).launch(command).await {
        Ok(plugin) => {
            let path = rpcplugin_tests::escapes::results_of(plugin.endpoint()).expect("a Unix socket");
            println!("{}", fs::read_to_string(path).unwrap_or_default());
            plugin.shut_down().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}
