//! Where the file of a program is.

use std::path::{Path, PathBuf, is_separator};

use crate::os;

/// The file of a program: its path, relative to the host's working directory, or for a bare name the first executable
/// file of that name in `PATH`. A bare name that is not in `PATH` is returned unchanged.
///
/// On Windows an extension of `PATHEXT` is added to a name that has no extension. Directories of `PATH` that are relative
/// are left out there, as Go leaves them out.
pub(crate) fn find(program: &Path) -> PathBuf {
    let has_separator =
        program.as_os_str().as_encoded_bytes().iter().any(|byte| is_separator(char::from(*byte)));
    if program.components().count() != 1 || has_separator {
        let path = std::path::absolute(program).unwrap_or_else(|_| program.to_owned());
        return os::with_extension(path);
    }
    std::env::split_paths(&os::host_variable("PATH").unwrap_or_default())
        .find_map(|dir| os::executable_at(dir.join(program)))
        .unwrap_or_else(|| program.to_owned())
}

#[cfg(test)]
#[cfg(unix)]
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
