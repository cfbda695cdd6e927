//! Each example of the facade is in the README's list, and a test runs it.

use super::Subject;

const DIRECTORY: &str = "crates/rpcplugin/examples/";

/// Looks at every program among the examples.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    let contents = |wanted: fn(&str) -> bool| {
        subject.texts.iter().filter(move |text| wanted(&text.path)).map(|text| text.content.as_str())
    };
    let mut found = Vec::new();
    for name in subject.texts.iter().filter_map(|text| program(&text.path)) {
        let link = format!("({DIRECTORY}{name}.rs)");
        if !contents(|path| path == "README.md").any(|readme| readme.contains(&link)) {
            found.push(format!("{DIRECTORY}{name}.rs: the README does not list it"));
        }
        let quoted = format!("\"{name}\"");
        if !contents(|path| path.starts_with("tests/tests/")).any(|test| test.contains(&quoted)) {
            found.push(format!("{DIRECTORY}{name}.rs: no test in tests/tests runs it"));
        }
    }
    found
}

/// The name of the program, if this is the source of one.
fn program(path: &str) -> Option<&str> {
    path.strip_prefix(DIRECTORY)?.strip_suffix(".rs").filter(|name| !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::program;

    #[test]
    fn programs_are_distinguished_from_their_parts() {
        assert_eq!(program("crates/rpcplugin/examples/mux.rs"), Some("mux"));
        assert_eq!(program("crates/rpcplugin/examples/kv/kv.rs"), None);
        assert_eq!(program("crates/rpcplugin/src/lib.rs"), None);
    }
}
