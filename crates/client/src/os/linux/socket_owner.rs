//! Finds out from `/proc` whether a process listens at an endpoint.

use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt as _, path::Path};

use rpcplugin_core::{Endpoint, Pid, SocketPath};

/// Whether this process has the listening socket at the endpoint open. False if that is unknown: for a process of
/// another user, and if several sockets listen at the path.
pub(crate) fn listens(pid: Pid, endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Unix(path) => {
            let sockets = unix(pid, path);
            // A second socket may have been bound to the path while the first is still open.
            sockets.len() == 1 && has_open(pid, &sockets)
        }
        Endpoint::Tcp(address) => has_open(pid, &tcp(pid, address.port())),
        _ => false,
    }
}

/// Whether a process of this user has one of these sockets open.
fn has_open(pid: Pid, inodes: &BTreeSet<String>) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut targets = open.filter_map(|fd| fs::read_link(fd.path()).ok());
    targets.any(|target| {
        let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
        inode.is_some_and(|inode| inodes.contains(inode))
    })
}

/// The inodes of the sockets that listen on this port, in the network namespace of the process.
fn tcp(pid: Pid, port: u16) -> BTreeSet<String> {
    let tables = ["tcp", "tcp6"].map(|table| table_of(pid, table));
    let lines = tables.iter().flat_map(|table| table.lines());
    lines.filter_map(|line| listening_tcp(line, port)).map(str::to_owned).collect()
}

/// The inode in a line of `/proc/net/tcp`, if the line is of a socket that listens on this port.
fn listening_tcp(line: &str, port: u16) -> Option<&str> {
    let mut columns = line.split_whitespace().skip(1);
    let (_, local_port) = columns.next()?.rsplit_once(':')?;
    let state = columns.nth(1)?;
    let inode = columns.nth(5)?;
    (state == "0A" && u16::from_str_radix(local_port, 16).is_ok_and(|local| local == port)).then_some(inode)
}

/// The inodes of the sockets that listen at this path.
fn unix(pid: Pid, path: &SocketPath) -> BTreeSet<String> {
    let table = table_of(pid, "unix");
    let listening = table.lines().filter_map(listening_unix);
    listening.filter(|(_, bound)| is_the_same(pid, bound, path)).map(|(inode, _)| inode.to_owned()).collect()
}

/// The inode and the path in a line of `/proc/net/unix`, if the line is of a listening socket.
fn listening_unix(line: &str) -> Option<(&str, &str)> {
    let mut rest = line;
    let mut columns = [""; 7];
    for column in &mut columns {
        (*column, rest) = rest.trim_start().split_once(' ')?;
    }
    let [_, _, _, flags, _, _, inode] = columns;
    let flags = u32::from_str_radix(flags, 16).ok()?;
    // The inode is padded. The path is not.
    (flags & ACCEPTS != 0).then_some((inode, rest.trim_start()))
}

/// Whether the path that a process bound and the known path are the same file: through a link, or relative to the
/// working directory of the process.
fn is_the_same(pid: Pid, bound: &str, path: &SocketPath) -> bool {
    let known = path.as_path();
    if known == Path::new(bound) {
        return true;
    }
    if path.abstract_name().is_some() || known.file_name() != Path::new(bound).file_name() {
        return false;
    }
    let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let bound = file(&Path::new(&format!("/proc/{pid}/cwd")).join(bound));
    bound.is_some() && bound == file(known)
}

/// A table of sockets, as the process sees it. Empty if it cannot be read.
fn table_of(pid: Pid, name: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The kernel's `__SO_ACCEPTCON`: the socket listens.
const ACCEPTS: u32 = 0x10000;

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener,
        os::unix::{fs::symlink, net::UnixListener},
    };

    use super::*;

    #[test]
    fn the_process_that_listens_on_a_port_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let endpoint = Endpoint::parse("tcp", &format!("127.0.0.1:{port}")).expect("an address");
        let me = Pid::current();
        assert!(listens(me, &endpoint));
        drop(listener);
        assert!(!listens(me, &endpoint));
        assert!([1, u32::MAX].iter().all(|pid| !listens(Pid::new(*pid).expect("not 0"), &endpoint)));
    }

    #[test]
    fn the_process_that_listens_at_a_path_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a socket");
        let at = |path: &Path| Endpoint::parse("unix", path.to_str().expect("UTF-8")).expect("an address");
        let me = Pid::current();
        assert!(!listens(me, &at(&path)));
        let listener = UnixListener::bind(&path).expect("bound");
        assert!(listens(me, &at(&path)) && !listens(Pid::new(1).expect("not 0"), &at(&path)));
        symlink(dir.path(), dir.path().join("link")).expect("linked");
        assert!(listens(me, &at(&dir.path().join("link/a socket"))), "by another name");

        fs::remove_file(&path).expect("there");
        let second = UnixListener::bind(&path).expect("bound");
        assert!(!listens(me, &at(&path)), "two sockets have been bound to the path");
        drop(listener);
        assert!(listens(me, &at(&path)));
        drop(second);
        assert!(!listens(me, &at(&path)), "the file is left, and has no listener");
    }
}
