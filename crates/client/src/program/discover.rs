//! Finding plugins in a directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rpcplugin_core::PluginMetadata;

use super::embedded_metadata::embedded_metadata;
use crate::os;

/// A file that [`discover_plugins`] has found.
#[derive(Debug)]
#[non_exhaustive]
pub struct DiscoveredPlugin {
    /// The path of the file.
    pub path: PathBuf,
    /// The metadata in the file. `None` if the file has none, and an error if the file cannot be read.
    pub metadata: io::Result<Option<PluginMetadata>>,
}

/// Returns the files that [`discover`] returns, each with the metadata that the program has in its file. No program is started.
///
/// Every file is read, as [`ProgramFile::embedded_metadata`](crate::ProgramFile::embedded_metadata) reads it. The call blocks.
///
/// ```no_run
/// # use rpcplugin_client::discover_plugins;
/// # use std::path::Path;
/// for plugin in discover_plugins(Path::new("/usr/lib/my-app/plugins"), "my-app-*")? {
///     if let Ok(Some(metadata)) = &plugin.metadata {
///         println!("{metadata}: {}", plugin.path.display());
///     }
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// As [`discover`]. A file that cannot be read is returned with its error.
pub fn discover_plugins(dir: &Path, pattern: &str) -> io::Result<Vec<DiscoveredPlugin>> {
    let read = |path: PathBuf| DiscoveredPlugin { metadata: embedded_metadata(&path), path };
    Ok(discover(dir, pattern)?.into_iter().map(read).collect())
}

/// Returns the files in `dir` whose names match `pattern`, sorted by name. The paths are absolute if `dir` is.
///
/// In the pattern `*` matches any characters, `?` matches one character, and `[a-z]` or `[^a-z]` matches one
/// character inside or outside of a set. Files that cannot be executed are returned too: the launch refuses them with
/// a reason. Names that are not UTF-8 never match. On Windows the pattern is that of the name with or without its
/// extension `.exe`.
///
/// ```no_run
/// # use rpcplugin_client::{Command, discover};
/// # use std::path::Path;
/// for program in discover(Path::new("/usr/lib/my-app/plugins"), "my-app-*")? {
///     let command = Command::new(program);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The error of the operating system if the directory cannot be read. A missing directory has no plugins and is not
/// an error.
///
/// # Protocol
/// go-plugin `discover.go`. Differs: directories are left out.
pub fn discover(dir: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let pattern: Vec<char> = pattern.chars().collect();
    let is_match = |name: &str| matches(&pattern, &name.chars().collect::<Vec<_>>());
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_named = is_match(&name) || os::name_without_extension(&name).is_some_and(is_match);
        if is_named && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Backtracks to the last `*` only, which is enough and takes at most length times length steps.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut star) = ((0, 0), None);
    loop {
        let (p, n) = at;
        if n == name.len() {
            return pattern[p..].iter().all(|c| *c == '*');
        }
        at = match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                (p + 1, n)
            }
            Some('[') => match class(&pattern[p..], name[n]) {
                Some((true, length)) => (p + length, n + 1),
                Some((false, _)) => match back(&mut star) {
                    Some(at) => at,
                    None => return false,
                },
                None => return false,
            },
            Some(c) if *c == '?' || *c == name[n] => (p + 1, n + 1),
            _ => match back(&mut star) {
                Some(at) => at,
                None => return false,
            },
        };
    }
}

/// Lets the last `*` match one more character.
fn back(star: &mut Option<(usize, usize)>) -> Option<(usize, usize)> {
    let (pattern, name) = (*star)?;
    *star = Some((pattern, name + 1));
    *star
}

/// Whether `c` is in the class at the start of `pattern`, and the length of the class. `None` for a class without an end.
fn class(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some('^' | '!'));
    let first = if negated { 2 } else { 1 };
    let end = first + 1 + pattern.get(first + 1..)?.iter().position(|c| *c == ']')?;
    let mut rest = &pattern[first..end];
    let mut inside = false;
    while let Some((from, more)) = rest.split_first() {
        match more {
            ['-', to, more @ ..] => {
                inside |= (*from..=*to).contains(&c);
                rest = more;
            }
            more => {
                inside |= *from == c;
                rest = more;
            }
        }
    }
    Some((inside != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, expected: bool) {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(matches(&chars(pattern), &chars(name)), expected, "{pattern} {name}");
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        check("kv-*", "kv-plugin", true);
        check("kv-*", "kv", false);
        check("*", "anything", true);
        check("*-plugin", "a-plugin-plugin", true);
        check("k?-[a-c]*", "kv-basic", true);
        check("k?-[^a-c]*", "kv-basic", false);
        check("[]a]x", "]x", true);
        check("[a", "[a", false);
        check("", "", true);
        check("*a*b*c", "xxaxxbxx", false);
    }

    #[test]
    fn files_are_found_by_name_and_sorted() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["kv-b", "kv-a", "other"] {
            fs::write(dir.path().join(name), "").expect("writable");
        }
        fs::create_dir(dir.path().join("kv-dir")).expect("writable");
        let found = discover(dir.path(), "kv-*").expect("readable");
        assert_eq!(found, [dir.path().join("kv-a"), dir.path().join("kv-b")]);
        assert!(discover(&dir.path().join("nowhere"), "*").expect("no error").is_empty());
        assert!(discover(&dir.path().join("other"), "*").is_err());
    }

    #[test]
    fn metadata_is_read_from_the_files() {
        let dir = tempfile::tempdir().expect("a directory");
        let version = rpcplugin_core::semver::Version::new(1, 2, 0);
        let metadata = PluginMetadata::builder("kv", version).finish().expect("valid");
        fs::write(dir.path().join("kv-a"), metadata.to_block()).expect("writable");
        fs::write(dir.path().join("kv-b"), "a plugin").expect("writable");
        let found = discover_plugins(dir.path(), "kv-*").expect("readable");
        let found: Vec<_> = found.into_iter().map(|one| one.metadata.expect("readable")).collect();
        assert_eq!(found, [Some(metadata), None]);
    }

    proptest::proptest! {
        #[test]
        fn matching_never_panics(pattern in "[ab*?\\[\\]^-]{0,12}", name in "[ab\\[-]{0,12}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            matches(&chars(&pattern), &chars(&name));
        }
    }
}
