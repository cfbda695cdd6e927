//! Where the file of a program is.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::os;

/// The file of a program: its path, relative to the host's working directory, or for a bare name the first executable
/// file of that name in `PATH`. A bare name that is not in `PATH` is returned unchanged.
pub(crate) fn find(program: &Path) -> PathBuf {
    let bare = program.components().count() == 1 && !program.as_os_str().as_encoded_bytes().contains(&b'/');
    if !bare {
        return std::path::absolute(program).unwrap_or_else(|_| program.to_owned());
    }
    let path = std::env::vars_os().find_map(|(name, value)| (name == OsStr::new("PATH")).then_some(value));
    std::env::split_paths(&path.unwrap_or_default())
        .map(|dir| dir.join(program))
        .find(|file| file.metadata().is_ok_and(|file| os::is_executable(&file)))
        .unwrap_or_else(|| program.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        assert!(find(Path::new("sh")).is_absolute());
        assert_eq!(find(Path::new("/bin/sh")), Path::new("/bin/sh"));
        assert!(find(Path::new("./sh")).is_absolute(), "a path is never looked up");
        assert_eq!(find(Path::new("no-such-program-at-all")), Path::new("no-such-program-at-all"));
    }
}
