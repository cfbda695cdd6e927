//! The files of a project, from templates.

use std::path::Path;

use super::name::Name;

/// The paths of the files in a project, and their templates.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../../templates/Cargo.toml.in")),
    (".gitignore", include_str!("../../../templates/gitignore.in")),
    ("README.md", include_str!("../../../templates/README.md.in")),
    ("protocol/Cargo.toml", include_str!("../../../templates/protocol/Cargo.toml.in")),
    ("protocol/build.rs", include_str!("../../../templates/protocol/build.rs")),
    ("protocol/proto/__snake__.proto", include_str!("../../../templates/protocol/proto/service.proto")),
    ("protocol/src/lib.rs", include_str!("../../../templates/protocol/src/lib.rs")),
    ("plugin/Cargo.toml", include_str!("../../../templates/plugin/Cargo.toml.in")),
    ("plugin/src/main.rs", include_str!("../../../templates/plugin/src/main.rs")),
    ("plugin/src/greeter.rs", include_str!("../../../templates/plugin/src/greeter.rs")),
    ("plugin/tests/with_host.rs", include_str!("../../../templates/plugin/tests/with_host.rs")),
    ("host/Cargo.toml", include_str!("../../../templates/host/Cargo.toml.in")),
    ("host/src/lib.rs", include_str!("../../../templates/host/src/lib.rs")),
    ("host/src/main.rs", include_str!("../../../templates/host/src/main.rs")),
];

/// A project to write.
pub(super) struct Project {
    /// The placeholders of the templates and their values.
    values: Vec<(&'static str, String)>,
}

impl Project {
    pub(super) fn new(name: &Name, checkout: Option<&Path>) -> Self {
        let from = |crate_dir: &str| match checkout {
            Some(dir) => {
                let path = dir.join("crates").join(crate_dir);
                // A JSON string is a valid basic string in TOML.
                format!("{{ path = {} }}", serde_json::Value::from(path.to_string_lossy()))
            }
            None => format!("\"{}\"", env!("CARGO_PKG_VERSION")),
        };
        let values = vec![
            ("__rpcplugin-build__", from("build")),
            ("__rpcplugin__", from("rpcplugin")),
            ("__cookie__", cookie()),
            ("__name__", name.kebab().to_owned()),
            ("__snake__", name.snake()),
            ("__SHOUT__", name.shouted()),
        ];
        Self { values }
    }

    /// Returns the path and the content of each file.
    pub(super) fn files(&self) -> impl Iterator<Item = (String, String)> + '_ {
        FILES.iter().map(|(path, content)| (self.filled(path), self.filled(content)))
    }

    fn filled(&self, template: &str) -> String {
        self.values
            .iter()
            .fold(template.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    }
}

/// Returns a unique value for the cookie. It is not a secret and may be predictable.
fn cookie() -> String {
    format!("{:032x}", fastrand::u128(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_placeholders_are_replaced() {
        let name = Name::of(Path::new("my-weather")).unwrap();
        let files: Vec<_> = Project::new(&name, Some(Path::new("/a \"b"))).files().collect();
        for (path, content) in &files {
            assert!(!path.contains("__") && !content.contains("__"), "{path}:\n{content}");
        }
        let (_, manifest) = &files[0];
        assert!(manifest.contains(r#"rpcplugin = { path = "/a \"b/crates/rpcplugin" }"#), "{manifest}");
        assert!(files.iter().any(|(path, _)| path == "protocol/proto/my_weather.proto"));
        let (_, main) = files.iter().find(|(path, _)| path == "plugin/src/main.rs").unwrap();
        assert!(main.contains("use my_weather_protocol::{"), "{main}");
    }

    #[test]
    fn published_crates_are_those_of_this_version() {
        let name = Name::of(Path::new("x")).unwrap();
        let (_, manifest) = Project::new(&name, None).files().next().unwrap();
        assert!(
            manifest.contains(concat!("rpcplugin-build = \"", env!("CARGO_PKG_VERSION"), '"')),
            "{manifest}"
        );
    }
}
