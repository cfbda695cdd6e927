//! Groups of users.

use std::io;

use nix::unistd::Group;

/// Returns the number of the group with this name. `None` if there is no such group.
pub(crate) fn find(name: &str) -> io::Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
}
