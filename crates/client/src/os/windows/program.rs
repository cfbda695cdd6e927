//! Which files are programs: their extension says so.

use std::path::{Path, PathBuf};

use super::environment::host_variable;

/// The program at this path: the file itself, if its name has an extension and it exists, or the first file with one of
/// the extensions of `PATHEXT` added to its name. `None` for a relative path, so that the working directory is not
/// searched.
///
/// Follows Go's `exec.LookPath`.
pub(crate) fn executable_at(path: PathBuf) -> Option<PathBuf> {
    if path.is_absolute() { found(path, &extensions()).ok() } else { None }
}

/// The path with the extension of the program that it stands for. A path that stands for no program stays as it is.
pub(crate) fn with_extension(path: PathBuf) -> PathBuf {
    found(path, &extensions()).unwrap_or_else(|path| path)
}

/// The name of a program's file without the extension `.exe`. `None` if it has another extension.
pub(crate) fn name_without_extension(name: &str) -> Option<&str> {
    let (name, extension) = name.rsplit_once('.')?;
    extension.eq_ignore_ascii_case("exe").then_some(name)
}

/// Whether the command interpreter runs the file by its extension, whatever is in it.
pub(crate) fn is_command_file(path: &Path) -> bool {
    has_extension(path, &["bat", "cmd"])
}

pub(super) fn is_exe(path: &Path) -> bool {
    has_extension(path, &["exe"])
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    path.extension().is_some_and(|extension| known.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// The program that the path stands for, or the path itself as the error.
fn found(path: PathBuf, extensions: &str) -> Result<PathBuf, PathBuf> {
    if path.extension().is_some() && path.is_file() {
        return Ok(path);
    }
    let extensions = extensions.split(';').map(|extension| extension.trim_start_matches('.'));
    let mut programs =
        extensions.filter(|extension| !extension.is_empty()).map(|extension| added(&path, extension));
    programs.find(|program| program.is_file()).ok_or(path)
}

fn added(path: &Path, extension: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(extension.to_ascii_lowercase());
    path.into()
}

/// The value of `PATHEXT`, or what Go takes without it.
fn extensions() -> String {
    host_variable("PATHEXT")
        .filter(|value| !value.is_empty())
        .map_or_else(|| ".com;.exe;.bat;.cmd".to_owned(), |value| value.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const EXTENSIONS: &str = ".COM;.EXE;;.BAT";

    #[test]
    fn programs_are_found_by_their_extensions() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for name in ["kv.exe", "kv.bat", "kv", "v1.2.exe", "given.txt", "plain"] {
            fs::write(at(name), "").expect("writable");
        }
        fs::create_dir(at("folder.exe")).expect("writable");
        for (name, expected) in [
            ("kv", Some("kv.exe")),
            ("kv.bat", Some("kv.bat")),
            ("v1.2", Some("v1.2.exe")),
            ("given.txt", Some("given.txt")),
            ("given", None),
            ("plain", None),
            ("folder", None),
            ("nothing", None),
        ] {
            assert_eq!(found(at(name), EXTENSIONS).ok(), expected.map(at), "{name}");
        }
        assert_eq!(with_extension(at("plain")), at("plain"));
    }

    #[test]
    fn the_working_directory_is_not_searched() {
        assert_eq!(executable_at("Cargo.toml".into()), None);
    }

    #[test]
    fn names_are_compared_in_any_case() {
        assert_eq!((name_without_extension("kv.EXE"), name_without_extension("kv.pdb")), (Some("kv"), None));
        assert!(is_command_file(Path::new("kv.Cmd")) && is_exe(Path::new(r"C:\kv.Exe")));
    }
}
