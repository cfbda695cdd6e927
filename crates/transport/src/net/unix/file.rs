//! The file of a bound socket.

use rpcplugin_core::SocketPath;

use super::{dir::SocketDir, error::SocketDirError, group::SocketGroup};
use crate::{
    cleanup::{self, Leftover, Registration},
    os::files::BoundFile,
};

/// The file of a bound socket. It is removed on drop, unless another file has come to the path.
#[derive(Debug)]
pub(crate) struct SocketFile {
    file: Leftover,
    _at_exit: Registration,
    /// Keeps the directory while there is a socket in it.
    _dir: Option<SocketDir>,
}

impl SocketFile {
    /// Takes ownership of the file of a socket that was just bound, and sets its group and permissions.
    pub(crate) fn new(
        path: &SocketPath,
        group: Option<SocketGroup>,
        dir: Option<SocketDir>,
    ) -> Result<Self, SocketDirError> {
        let path = path.as_path().to_owned();
        let share = |source| SocketDirError::Share { path: path.clone(), source };
        let bound = BoundFile::find(&path).map_err(|source| {
            // A process without descriptors for this must not leave the file.
            BoundFile::discard(&path);
            share(source)
        })?;
        let leftover = || Leftover::Socket(path.clone(), bound.id());
        let this = Self { file: leftover(), _at_exit: cleanup::register(leftover()), _dir: dir };
        match group {
            Some(group) => bound.give_to(group.number(), 0o660).map_err(share)?,
            None => bound.allow(0o600).map_err(share)?,
        }
        Ok(this)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.file.remove();
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        fs,
        os::unix::{fs::PermissionsExt as _, net::UnixListener},
    };

    use miette::Diagnostic as _;

    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_socket_is_not_followed() {
        let own = SocketGroup::find(&nix::unistd::getegid().to_string()).expect("a number");
        let dir = SocketDir::private(None).expect("a directory");
        let path = dir.name("given").expect("it fits");
        let precious = dir.path().join("precious");
        fs::write(&precious, "x").expect("written");
        fs::set_permissions(&precious, fs::Permissions::from_mode(0o640)).expect("ours");
        let other = dir.path().join("other");
        let _other = UnixListener::bind(&other).expect("bound");
        fs::set_permissions(&other, fs::Permissions::from_mode(0o640)).expect("ours");
        for group in [None, Some(own)] {
            for (target, hard) in [(&precious, false), (&precious, true), (&other, false), (&other, true)] {
                if hard {
                    fs::hard_link(target, path.as_path()).expect("linked");
                } else {
                    std::os::unix::fs::symlink(target, path.as_path()).expect("linked");
                }
                let error = SocketFile::new(&path, group, None).expect_err("another file is there");
                assert_eq!(
                    error.code().expect("a code").to_string(),
                    "rpcplugin::transport::socket_not_shared"
                );
                let mode = fs::metadata(target).expect("there").permissions().mode() & 0o777;
                assert_eq!(mode, 0o640, "{target:?} {hard}");
                fs::remove_file(path.as_path()).expect("the link is still there");
            }
        }
    }
}
