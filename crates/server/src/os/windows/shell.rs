//! Lines for a shell.

/// Returns the assignment of a variable for PowerShell.
pub(crate) fn assignment(variable: &str, value: &str) -> String {
    format!("$env:{variable}='{}'", value.replace('\'', "''"))
}
