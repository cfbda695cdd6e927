//! One line of a trace.

use std::path::{Path, PathBuf};

use rpcplugin::sandbox::Sandbox;

use crate::{sandbox::denials::Denials, ui::shell_word::shell_quoted};

/// Adds what a line shows, if it is a call that was denied.
pub(super) fn add(line: &str, sandbox: &Sandbox, denials: &mut Denials) {
    let Some((name, args)) = denied_call(line) else { return };
    let option = match name {
        "open" | "openat" | "openat2" | "creat" | "truncate" => {
            let writes =
                name == "creat" || name == "truncate" || WRITING.iter().any(|flag| args.contains(flag));
            path_option(if writes { "--allow-write" } else { "--allow-read" }, args, sandbox)
        }
        "execve" | "execveat" => path_option("--allow-execute", args, sandbox),
        "mkdir" | "mkdirat" | "unlink" | "unlinkat" | "rmdir" | "rename" | "renameat" | "renameat2"
        | "link" | "linkat" | "symlink" | "symlinkat" | "mknod" | "mknodat" => {
            path_option("--allow-write", args, sandbox)
        }
        "connect" => match (port(args), args.contains("AF_UNIX")) {
            (Some(port), _) => Some(format!("--allow-net {port}")),
            // A path. The name of an abstract socket has an @ before it, and no option allows these.
            (None, true) if args.contains("sun_path=\"") => Some("--allow-unix-sockets".to_owned()),
            _ => None,
        },
        "bind" => port(args).map(|port| format!("--allow-net listen:{port}")),
        "socket" if is_internet(args) && args.contains("SOCK_DGRAM") => Some("--allow-net udp".to_owned()),
        "socket" if is_internet(args) && args.contains("SOCK_STREAM") => {
            denials
                .others
                .insert("TCP: allow its ports with --allow-net PORT or --allow-net listen:PORT".to_owned());
            return;
        }
        "io_uring_setup" => Some("--allow-calls io_uring".to_owned()),
        "ptrace" => Some("--allow-calls debugging".to_owned()),
        "unshare" | "setns" => Some("--allow-calls namespaces".to_owned()),
        _ if METADATA.iter().any(|prefix| name.starts_with(prefix)) => {
            Some("--allow-calls file_metadata".to_owned())
        }
        // A check of a mode that did not succeed is no attempt.
        "access" | "faccessat" | "faccessat2" => return,
        _ => None,
    };
    match option {
        Some(option) => _ = denials.options.insert(option),
        None => _ = denials.others.insert(format!("{name}({})", shortened(args))),
    }
}

/// The name and the arguments of a call that failed with EACCES or EPERM: `7 openat(AT_FDCWD</>, "/etc/shadow", …) = -1 EACCES (…)`.
fn denied_call(line: &str) -> Option<(&str, &str)> {
    let (call, result) = line.rsplit_once(") = -1 ").or_else(|| line.rsplit_once(" = -1 "))?;
    if !result.starts_with("EACCES") && !result.starts_with("EPERM") {
        return None;
    }
    let call = call.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    let (name, args) = call.split_once('(')?;
    name.chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_')
        .then_some((name, args.trim_end().trim_end_matches(')')))
}

/// The option for the first path of a call. `None` if the sandbox allows that already: another reason denied it.
fn path_option(option: &str, args: &str, sandbox: &Sandbox) -> Option<String> {
    let path = path(args).filter(|path| !is_of_a_process(path))?;
    // The kernel needs a path that exists. Making a file needs the directory.
    let existing = path.ancestors().find(|path| path.exists())?;
    let is_below = |granted: &Path| existing.starts_with(granted);
    let is_allowed = match option {
        "--allow-write" => sandbox.write_paths().any(is_below),
        "--allow-execute" => sandbox.execute_paths().any(is_below),
        _ => sandbox.read_paths().chain(sandbox.write_paths()).chain(sandbox.execute_paths()).any(is_below),
    };
    (!is_allowed).then(|| format!("{option} {}", shell_quoted(&existing.to_string_lossy())))
}

/// Whether the path is about one process, whose number is another one at the next launch.
fn is_of_a_process(path: &Path) -> bool {
    let of_proc = path.strip_prefix("/proc").ok().and_then(|rest| rest.iter().next()?.to_str());
    of_proc.is_some_and(|name| {
        matches!(name, "self" | "thread-self") || name.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The first path of a call, absolute: `AT_FDCWD</dir>, "file"` is `/dir/file`.
fn path(args: &str) -> Option<PathBuf> {
    let (before, rest) = args.split_once('"')?;
    let text = unescaped(rest)?;
    let dir = before.split_once('<').and_then(|(_, dir)| dir.rsplit_once('>')).map_or("", |(dir, _)| dir);
    let path = Path::new(dir).join(text);
    path.is_absolute().then_some(path)
}

/// Reads a text in C's notation up to its closing quotation mark.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes().peekable();
    loop {
        match rest.next()? {
            b'"' => return String::from_utf8(bytes).ok(),
            b'\\' => match rest.next()? {
                b'n' => bytes.push(b'\n'),
                b't' => bytes.push(b'\t'),
                b'r' => bytes.push(b'\r'),
                digit @ b'0'..=b'7' => {
                    let mut value = u32::from(digit - b'0');
                    for _ in 0..2 {
                        let Some(digit) = rest.next_if(|byte| (b'0'..=b'7').contains(byte)) else { break };
                        value = value * 8 + u32::from(digit - b'0');
                    }
                    bytes.push(u8::try_from(value).ok()?);
                }
                other => bytes.push(other),
            },
            other => bytes.push(other),
        }
    }
}

/// The port of an internet address: `sin_port=htons(443)`.
fn port(args: &str) -> Option<u16> {
    let (_, rest) = args.split_once("htons(")?;
    rest.split_once(')')?.0.parse().ok()
}

fn is_internet(args: &str) -> bool {
    args.starts_with("AF_INET")
}

fn shortened(args: &str) -> String {
    match args.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &args[..at]),
        None => args.to_owned(),
    }
}

/// The flags of an open that needs more than reading.
const WRITING: [&str; 4] = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"];

/// The names of calls that change the metadata of a file begin so.
const METADATA: [&str; 8] =
    ["chmod", "fchmodat", "chown", "lchown", "fchownat", "utime", "setxattr", "lsetxattr"];

/// The largest number of characters of arguments that are shown.
const LONGEST: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sandbox: &Sandbox, lines: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut denials = Denials::default();
        lines.iter().for_each(|line| add(line, sandbox, &mut denials));
        (denials.options.into_iter().collect(), denials.others.into_iter().collect())
    }

    #[test]
    fn denied_calls_become_options() {
        let (options, others) = found(
            &Sandbox::new(),
            &[
                r#"12    openat(AT_FDCWD</root>, "/etc/passwd", O_RDONLY|O_CLOEXEC) = -1 EACCES (Permission denied)"#,
                r#"12    openat(AT_FDCWD</etc>, "group", O_RDWR) = -1 EACCES (Permission denied)"#,
                r#"12    openat(3</usr>, "no/such", O_WRONLY|O_CREAT, 0666) = -1 EACCES (Permission denied)"#,
                r#"12    openat(AT_FDCWD</>, "/proc/self/maps", O_RDONLY) = -1 EACCES (Permission denied)"#,
                r#"12    openat(AT_FDCWD</>, "/etc/nothing", O_RDONLY) = -1 ENOENT (No such file or directory)"#,
                r#"13    execve("/bin/sh", ["sh"], 0x7ffe /* 3 vars */) = -1 EACCES (Permission denied)"#,
                r#"12    connect(3<socket:[1]>, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("10.0.0.1")}, 16) = -1 EACCES (Permission denied)"#,
                r#"12    connect(3<socket:[1]>, {sa_family=AF_UNIX, sun_path="/run/x.sock"}, 110) = -1 EPERM (Operation not permitted)"#,
                r#"12    connect(3<socket:[1]>, {sa_family=AF_UNIX, sun_path=@"x"}, 110) = -1 EPERM (Operation not permitted)"#,
                r#"12    bind(3<socket:[1]>, {sa_family=AF_INET6, sin6_port=htons(0), sin6_flowinfo=htonl(0)}, 28) = -1 EACCES (Permission denied)"#,
                "12    socket(AF_INET6, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_IP) = -1 EPERM (Operation not permitted)",
                "12    socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = -1 EPERM (Operation not permitted)",
                "12    io_uring_setup(8, 0x7ffc)  = -1 EPERM (Operation not permitted)",
                r#"12    fchmodat(AT_FDCWD</>, "/etc/passwd", 0644) = -1 EPERM (Operation not permitted)"#,
                "12    kill(1, SIGTERM)        = -1 EPERM (Operation not permitted)",
                "12    +++ exited with 1 +++",
            ],
        );
        assert_eq!(
            options,
            [
                "--allow-calls file_metadata",
                "--allow-calls io_uring",
                "--allow-execute /bin/sh",
                "--allow-net 443",
                "--allow-net listen:0",
                "--allow-net udp",
                "--allow-read /etc/passwd",
                "--allow-unix-sockets",
                "--allow-write /etc/group",
                "--allow-write /usr",
            ]
        );
        assert_eq!(others.len(), 4, "{others:?}");
        assert!(others.iter().any(|other| other.starts_with("TCP:")), "{others:?}");
        assert!(others.iter().any(|other| other == "kill(1, SIGTERM)"), "{others:?}");
    }

    #[test]
    fn what_the_sandbox_allows_was_denied_by_another_part_of_the_system() {
        let line = r#"1 openat(AT_FDCWD</>, "/etc/passwd", O_RDONLY) = -1 EACCES (Permission denied)"#;
        let (options, others) = found(&Sandbox::new().read("/etc"), &[line]);
        assert!(options.is_empty() && others.len() == 1, "{options:?} {others:?}");
    }

    #[test]
    fn paths_have_the_notation_of_c() {
        assert_eq!(unescaped(r#"/a\"b\\c\303\274\n", x"#).unwrap(), "/a\"b\\cü\n");
        for wrong in ["/a", r"\", r#"\777""#, r#"\377""#] {
            assert_eq!(unescaped(wrong), None, "{wrong}");
        }
    }
}
