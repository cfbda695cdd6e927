//! Unix sockets, below the types of tokio.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::net},
    path::Path,
    time::Duration,
};

use rpcplugin_core::SocketPath;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use tokio::net::TcpStream;
pub(crate) use tokio::net::{UnixListener, UnixStream};

use super::files;

/// Whether this system has Unix sockets.
pub(crate) const AVAILABLE: bool = true;

/// Connects to the socket at a path or abstract name.
pub(crate) async fn dial(path: &SocketPath) -> io::Result<UnixStream> {
    // tokio does not support abstract names.
    if path.abstract_name().is_some() {
        return UnixStream::from_std(connect_at_once(&address(path)?)?);
    }
    UnixStream::connect(path.as_path()).await
}

/// Listens at a path or abstract name, open to the user of this process alone.
pub(crate) fn listen_closed(path: &SocketPath) -> io::Result<UnixListener> {
    UnixListener::from_std(bound_closed(&address(path)?)?)
}

/// Whether the socket at a path refuses connections at once, as a socket without a listener does. A full backlog and a
/// missing permission do not count as a refusal.
pub(crate) fn refuses_connections(path: &Path) -> io::Result<bool> {
    let connected = connect_at_once(&SocketAddrUnix::new(path)?);
    Ok(connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

/// Returns the address that the operating system has for a path.
pub(crate) fn address(path: &SocketPath) -> io::Result<SocketAddrUnix> {
    #[cfg(target_os = "linux")]
    if let Some(name) = path.abstract_name() {
        return Ok(SocketAddrUnix::new_abstract_name(name.as_bytes())?);
    }
    Ok(SocketAddrUnix::new(path.as_path())?)
}

/// Connects at once, or fails. A blocking connect would wait while the backlog of the socket is full. The stream does
/// not block.
pub(crate) fn connect_at_once(address: &SocketAddrUnix) -> io::Result<net::UnixStream> {
    let socket = nonblocking_socket()?;
    rustix::net::connect(&socket, address)?;
    Ok(socket.into())
}

fn bound_closed(address: &SocketAddrUnix) -> io::Result<net::UnixListener> {
    let socket = nonblocking_socket()?;
    // Linux makes the file with the mode of the socket, less the umask, so that other users can connect at no moment.
    // Elsewhere this fails, and there is such a moment.
    let _ = rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
    rustix::net::bind(&socket, address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Asks for a send buffer with room for several large frames. The operating system may grant less.
pub(crate) fn enlarge_send_buffer(stream: &UnixStream) {
    // Without the room calls are only slower.
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(stream, SEND_BUFFER);
}

/// Ends a TCP connection whose peer's machine has not answered for this time.
///
/// # Errors
/// When the operating system does not know an option.
pub(crate) fn end_after_silence(stream: &TcpStream, silence: Duration) -> io::Result<()> {
    use rustix::net::sockopt;

    // The system asks after a quarter of the time, and then three times more. It takes whole seconds.
    let interval = (silence / 4).clamp(Duration::from_secs(1), LONGEST_INTERVAL);
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, interval)?;
    sockopt::set_tcp_keepintvl(stream, interval)?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    // For bytes under way, for which it does not ask.
    #[cfg(target_os = "linux")]
    {
        let milliseconds = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX).min(LONGEST_SILENCE);
        sockopt::set_tcp_user_timeout(stream, milliseconds.max(1000))?;
    }
    Ok(())
}

/// Whether a process in this network namespace listens in the directory. In contrast to a connection, the check does
/// not disturb the process.
pub(crate) fn is_listened_in(dir: &Path) -> bool {
    let Ok(sockets) = fs::read("/proc/net/unix") else { return true };
    let within = [b" ", files::bytes(dir), b"/"].concat();
    sockets.split(|byte| *byte == b'\n').any(|line| line.windows(within.len()).any(|part| part == within))
}

fn nonblocking_socket() -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    let socket = {
        use rustix::net::{SocketFlags, socket_with};
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?
    };
    #[cfg(not(target_os = "linux"))]
    let socket = {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        socket
    };
    Ok(socket)
}

/// The longest interval that Linux accepts, in its whole seconds.
const LONGEST_INTERVAL: Duration = Duration::from_secs(32_767);

/// The longest time that Linux accepts, in milliseconds.
#[cfg(target_os = "linux")]
const LONGEST_SILENCE: u32 = i32::MAX as u32;

/// More than any system grants. The system then uses its own limit.
const BACKLOG: i32 = 4096;

/// Four frames of the size that this library accepts. Linux has 208 KiB by default, less than one frame.
const SEND_BUFFER: usize = 1 << 20;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_silent_machine_ends_a_connection_within_the_time() {
        use rustix::net::sockopt;

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let (_near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (stream, _) = far.expect("accepted");
        for (silence, interval, milliseconds) in [
            (Duration::from_secs(60), 15, 60_000),
            (Duration::from_millis(10), 1, 1000),
            (Duration::MAX, 32_767, LONGEST_SILENCE),
        ] {
            end_after_silence(&stream, silence).expect("the options exist");
            assert!(sockopt::socket_keepalive(&stream).expect("set"));
            let asked = sockopt::tcp_keepidle(&stream).expect("set");
            let again =
                sockopt::tcp_keepintvl(&stream).expect("set") * sockopt::tcp_keepcnt(&stream).expect("set");
            assert_eq!((asked.as_secs(), again.as_secs()), (interval, 3 * interval), "{silence:?}");
            assert_eq!(sockopt::tcp_user_timeout(&stream).expect("set"), milliseconds, "{silence:?}");
        }
    }

    #[test]
    fn a_socket_is_closed_to_other_users_from_its_first_moment() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("given");
        let address = SocketAddrUnix::new(&path).expect("it fits");
        let _listener = bound_closed(&address).expect("bound");
        let mode = fs::metadata(&path).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o777 & !0o600, 0, "{mode:o}");
    }
}
