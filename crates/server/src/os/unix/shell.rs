//! Lines for a shell.

/// Returns the assignment of a variable for a POSIX shell.
pub(crate) fn assignment(variable: &str, value: &str) -> String {
    format!("{variable}='{}'", value.replace('\'', r"'\''"))
}
