//! The files of a project, from templates.

use super::{name::Name, source::Source};

/// The paths of the files in a project, and their templates.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../../templates/Cargo.toml.in")),
    (IGNORE, include_str!("../../../templates/gitignore.in")),
    ("README.md", include_str!("../../../templates/README.md.in")),
    ("protocol/Cargo.toml", include_str!("../../../templates/protocol/Cargo.toml.in")),
    ("protocol/build.rs", include_str!("../../../templates/protocol/build.rs")),
    ("protocol/proto/__snake__.proto", include_str!("../../../templates/protocol/proto/service.proto")),
    ("protocol/src/lib.rs", include_str!("../../../templates/protocol/src/lib.rs")),
    ("plugin/Cargo.toml", include_str!("../../../templates/plugin/Cargo.toml.in")),
    ("plugin/src/main.rs", include_str!("../../../templates/plugin/src/main.rs")),
    ("plugin/src/lib.rs", include_str!("../../../templates/plugin/src/lib.rs")),
    ("plugin/src/greeter.rs", include_str!("../../../templates/plugin/src/greeter.rs")),
    ("plugin/tests/in_process.rs", include_str!("../../../templates/plugin/tests/in_process.rs")),
    ("plugin/tests/two_processes.rs", include_str!("../../../templates/plugin/tests/two_processes.rs")),
    ("host/Cargo.toml", include_str!("../../../templates/host/Cargo.toml.in")),
    ("host/src/lib.rs", include_str!("../../../templates/host/src/lib.rs")),
    ("host/src/main.rs", include_str!("../../../templates/host/src/main.rs")),
];

/// The list of files that git ignores.
pub(super) const IGNORE: &str = ".gitignore";

/// A project to write.
pub(super) struct Project {
    /// The placeholders of the templates and their values.
    values: Vec<(&'static str, String)>,
}

impl Project {
    pub(super) fn new(name: &Name, source: &Source) -> Self {
        let values = vec![
            ("__rpcplugin-build__", source.dependency("build")),
            ("__rpcplugin__", source.dependency("rpcplugin")),
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
        let name = Name::parse("my-weather").unwrap();
        let files: Vec<_> = Project::new(&name, &Source::Published).files().collect();
        for (path, content) in &files {
            assert!(!path.contains("__") && !content.contains("__"), "{path}:\n{content}");
        }
        let (_, manifest) = &files[0];
        let version = concat!("rpcplugin-build = \"", env!("CARGO_PKG_VERSION"), '"');
        assert!(manifest.contains(version), "{manifest}");
        assert!(files.iter().any(|(path, _)| path == "protocol/proto/my_weather.proto"));
        let (_, main) = files.iter().find(|(path, _)| path == "plugin/src/lib.rs").unwrap();
        assert!(main.contains("use my_weather_protocol::{"), "{main}");
    }
}
