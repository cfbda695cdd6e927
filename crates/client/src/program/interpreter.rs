//! The interpreter of a script.

use std::path::Path;

use super::lookup::find;

/// Whether what has to run a script is there.
pub(crate) enum Interpreter<'a> {
    There,
    WindowsLineEnds,
    /// There is no such file.
    Missing(&'a str),
    /// `env` will not find it.
    NotInPath(&'a str),
}

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
