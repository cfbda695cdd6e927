//! The files that the kernel executes for a program: the program, its interpreter and the dynamic loaders of both.

use std::path::{Path, PathBuf};

use rpcplugin_sandbox::Program;

use super::{
    format::{Format, format_of},
    lookup::find,
};

/// The files that the kernel executes for this program. What cannot be read is left out: the start fails then by itself.
pub(crate) fn parts(executable: &Path) -> Program {
    let mut program = Program::new(executable);
    let mut next = Some(executable.to_owned());
    // The kernel follows interpreters that are scripts themselves a few times.
    for _ in 0..INTERPRETERS {
        let Some(file) = next.take() else { break };
        match format_of(&file) {
            Ok(Format::Elf { loader: Some(loader), .. }) => program = program.loader(loader),
            Ok(Format::Script { interpreter, argument }) => {
                program = program.interpreter(&interpreter);
                if let Ok(Format::Elf { loader: Some(loader), .. }) = format_of(Path::new(&interpreter)) {
                    program = program.loader(loader);
                }
                next = looked_up(&interpreter, argument.as_deref()).or_else(|| Some(interpreter.into()));
                if let Some(file) = &next {
                    program = program.interpreter(file);
                }
            }
            _ => {}
        }
    }
    program
}

/// The program that `env` looks up for a first line such as `#!/usr/bin/env python3`.
fn looked_up(interpreter: &str, argument: Option<&str>) -> Option<PathBuf> {
    let words = argument?.strip_prefix("-S").unwrap_or(argument?);
    let name = words.split_whitespace().find(|word| !word.contains('='))?;
    let is_env = interpreter.ends_with("/env") && !name.starts_with('-');
    is_env.then(|| find(Path::new(name))).filter(|file| file.is_absolute())
}

const INTERPRETERS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_needs_its_interpreter_and_the_loader_of_the_interpreter() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "#!/usr/bin/env sh\n").expect("writable");
        let program = parts(file.path());
        let files: Vec<_> = program.files().collect();
        assert_eq!(files[0], file.path());
        assert!(files.contains(&Path::new("/usr/bin/env")), "{files:?}");
        assert!(files.iter().any(|file| file.ends_with("sh")), "{files:?}");
    }
}
