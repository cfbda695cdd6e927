//! The limits of the operating system.

/// The longest path of a Unix socket in bytes: `sun_path` less its closing NUL.
pub(crate) const LONGEST_SOCKET_PATH: usize = if cfg!(any(target_os = "linux", windows)) { 107 } else { 103 };

/// Whether a path that begins with `@` names an abstract socket.
pub(crate) const HAS_ABSTRACT_SOCKETS: bool = cfg!(target_os = "linux");
