//! The interpreter of a script.

use std::path::Path;

use super::lookup::find;

/// Whether the interpreter of a script can be run.
pub(crate) enum Interpreter<'a> {
    There,
    WindowsLineEnds,
    /// The file does not exist.
    Missing(&'a str),
    /// `env` does not find the name in `PATH`.
    NotInPath(&'a str),
}

/// Looks for the interpreter that the first line of a script names.
pub(crate) fn interpreter<'a>(interpreter: &'a str, argument: Option<&'a str>) -> Interpreter<'a> {
    if interpreter.ends_with('\r') || argument.is_some_and(|argument| argument.ends_with('\r')) {
        return Interpreter::WindowsLineEnds;
    }
    if !Path::new(interpreter).exists() {
        return Interpreter::Missing(interpreter);
    }
    match argument {
        Some(name)
            if interpreter.ends_with("/env")
                && !name.starts_with('-')
                && !find(Path::new(name)).is_absolute() =>
        {
            Interpreter::NotInPath(name)
        }
        _ => Interpreter::There,
    }
}
