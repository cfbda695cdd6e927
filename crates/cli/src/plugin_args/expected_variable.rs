//! The variable of the magic cookie, in the output of a plugin that refuses to start.

/// Returns the first variable name in the lines about a cookie, a variable or the environment.
pub(crate) fn expected_variable<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let about = |line: &str| {
        let line = line.to_lowercase();
        ["cookie", "variable", "environ", " env ", "not set", "unset"].iter().any(|word| line.contains(word))
    };
    lines.into_iter().filter(|line| about(line)).find_map(name_in)
}

/// Returns the first word that is in capitals and has an underscore or the marks of a variable, such as `$` or quotes.
fn name_in(line: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut at = 0;
    while let Some(start) = line[at..].find(is_part).map(|start| at + start) {
        let end = line[start..].find(|c| !is_part(c)).map_or(line.len(), |end| start + end);
        let word = &line[start..end];
        let before = line[..start].chars().next_back();
        let after = line[end..].chars().next();
        let is_quoted =
            before.is_some_and(|c| "`'\"‘“".contains(c)) && after.is_some_and(|c| "`'\"’”=".contains(c));
        let is_marked = before == Some('$') || after == Some('=') || is_quoted;
        let is_capital = word.starts_with(|c: char| c.is_ascii_uppercase())
            && !word.contains(|c: char| c.is_ascii_lowercase());
        if is_capital
            && word.len() > 2
            && (word.contains('_') || is_marked)
            && !NOT_THE_COOKIE.contains(&word)
        {
            return Some(word.to_owned());
        }
        at = end;
    }
    None
}

/// Variables that are not the cookie: those of the protocol and of runtimes, and the one that this program sets in place of a cookie.
const NOT_THE_COOKIE: &[&str] = &[
    "PLUGIN_PROTOCOL_VERSIONS",
    "PLUGIN_CLIENT_CERT",
    "PLUGIN_MULTIPLEX_GRPC",
    "PLUGIN_MIN_PORT",
    "PLUGIN_MAX_PORT",
    "PLUGIN_UNIX_SOCKET_DIR",
    "PLUGIN_UNIX_SOCKET_GROUP",
    "PLUGIN_ORPHAN_TIMEOUT",
    "PLUGIN_STDOUT_CONNECTION",
    "PLUGIN_HOST_LANE",
    "PLUGIN_MAGIC_COOKIE_KEY",
    "PLUGIN_MAGIC_COOKIE_VALUE",
    "RUST_BACKTRACE",
    "RPCPLUGIN_WITHOUT_COOKIE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_name_of_the_variable() {
        for (line, name) in [
            ("the magic cookie STUDIO_PLUGIN is not set", Some("STUDIO_PLUGIN")),
            (
                "Misconfigured: set the environment variable `STUDIO` to the value of your host",
                Some("STUDIO"),
            ),
            ("env variable $STUDIO is missing", Some("STUDIO")),
            ("magic cookie mismatch: expected STUDIO=..., got nothing", Some("STUDIO")),
            (
                "error: Magic cookie environment variable 'BASIC_PLUGIN' not set. This program is a plugin",
                Some("BASIC_PLUGIN"),
            ),
            ("This binary is a plugin. These are not meant to be executed directly.", None),
            ("the magic cookie is wrong; RUST_BACKTRACE=1 shows more of the environment", None),
            (
                "  help: start the program that uses this plugin (BASIC_PLUGIN is not set)",
                Some("BASIC_PLUGIN"),
            ),
            ("HTTP_PROXY is used", None),
            ("a JSON variable", None),
        ] {
            assert_eq!(expected_variable([line]).as_deref(), name, "{line}");
        }
    }
}
