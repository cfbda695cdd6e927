//! `plugin_metadata!`: the metadata of a crate, as a value and as a block of text in the program.

use super::{
    text::{self, has, is_plain, is_version},
    value::PluginMetadata,
};

/// Makes the [`PluginMetadata`](crate::PluginMetadata) of the crate that calls it, and puts the same metadata into the program, where
/// hosts and `rpcplugin discover` read it without starting the program.
///
/// Without arguments the metadata has the crate's name and version, as Cargo passes them to the compiler. The arguments stand in any
/// order. Each value is a literal, or a macro such as `env!` or `concat!` that makes one:
///
/// ```
/// # use rpcplugin_core as rpcplugin;
/// let metadata = rpcplugin::plugin_metadata!(
///     name = "weather",
///     version = "1.2.0",
///     capabilities = ["forecast.hourly", "alerts"],
///     minimum_host = "2.0.0",
///     build = { "commit" => "3f1c2ab", "package" => env!("CARGO_PKG_NAME") },
/// );
/// assert_eq!(metadata.to_string(), "weather 1.2.0");
/// assert!(metadata.has_capability("alerts"));
///
/// let defaults = rpcplugin::plugin_metadata!();
/// assert_eq!(defaults.version().to_string(), env!("CARGO_PKG_VERSION"));
/// ```
///
/// Call the macro in the crate of the program: in a library it makes the metadata of the library. The block stays in the program if the
/// metadata is used, as by `Serve::metadata`. It survives `strip`. A program that is compressed, as by UPX, hides it.
///
/// # Compile errors
/// An invalid value does not compile, such as a version that is not a semantic version. So does a value that is not known when
/// the program is compiled.
///
/// ```compile_fail
/// # use rpcplugin_core as rpcplugin;
/// rpcplugin::plugin_metadata!(minimum_host = "2.0");
/// ```
#[macro_export]
macro_rules! plugin_metadata {
    (@ [$name:expr] [$version:expr] [$($capability:expr),*] [$($minimum:expr)?] [$($key:expr => $value:expr),*] $(,)?) => {{
        const _: () = $crate::check_embedded(
            ::core::concat!($name),
            ::core::concat!($version),
            &[$(::core::concat!($capability)),*],
            &[$(::core::concat!($minimum))?],
            &[$((::core::concat!($key), ::core::concat!($value))),*],
        );
        // The text is in the program, and not only what was parsed of it.
        #[used]
        static BLOCK: &str = ::core::concat!(
            "<rpcplugin-metadata 1>\nname=", $name, "\nversion=", $version, "\n",
            $("capability=", $capability, "\n",)*
            $("minimum-host-version=", $minimum, "\n",)?
            $("build.", $key, "=", $value, "\n",)*
            "</rpcplugin-metadata>"
        );
        $crate::embedded(BLOCK)
    }};
    (@ $n:tt $v:tt $c:tt $m:tt $b:tt name = $name:expr, $($rest:tt)*) => {
        $crate::plugin_metadata!(@ [$name] $v $c $m $b $($rest)*)
    };
    (@ $n:tt $v:tt $c:tt $m:tt $b:tt version = $version:expr, $($rest:tt)*) => {
        $crate::plugin_metadata!(@ $n [$version] $c $m $b $($rest)*)
    };
    (@ $n:tt $v:tt $c:tt $m:tt $b:tt capabilities = [$($capability:expr),* $(,)?], $($rest:tt)*) => {
        $crate::plugin_metadata!(@ $n $v [$($capability),*] $m $b $($rest)*)
    };
    (@ $n:tt $v:tt $c:tt $m:tt $b:tt minimum_host = $minimum:expr, $($rest:tt)*) => {
        $crate::plugin_metadata!(@ $n $v $c [$minimum] $b $($rest)*)
    };
    (@ $n:tt $v:tt $c:tt $m:tt $b:tt build = {$($key:expr => $value:expr),* $(,)?}, $($rest:tt)*) => {
        $crate::plugin_metadata!(@ $n $v $c $m [$($key => $value),*] $($rest)*)
    };
    (@ $($other:tt)*) => {
        ::core::compile_error!(
            "plugin_metadata! takes `name = …`, `version = …`, `capabilities = […]`, `minimum_host = …` and `build = { key => value }`"
        )
    };
    ($($arguments:tt)*) => {
        $crate::plugin_metadata!(
            @ [::core::env!("CARGO_PKG_NAME")] [::core::env!("CARGO_PKG_VERSION")] [] [] [] $($arguments)* ,
        )
    };
}

/// Checks the arguments of [`plugin_metadata!`](crate::plugin_metadata) when a program is compiled.
///
/// # Panics
/// If a value is invalid, which is then a compile error.
#[doc(hidden)]
pub const fn check_embedded(
    name: &str,
    version: &str,
    capabilities: &[&str],
    minimum_host: &[&str],
    build: &[(&str, &str)],
) {
    assert!(is_word(name, text::NAME), "the name is empty, too long, or has an invalid character");
    assert!(is_short_version(version), "the version is not a semantic version such as 1.2.0");
    assert!(capabilities.len() <= text::ENTRIES, "there are more than 64 capabilities");
    let mut at = 0;
    while at < capabilities.len() {
        assert!(
            is_word(capabilities[at], text::CAPABILITY),
            "a capability is empty, too long, or has an invalid character"
        );
        at += 1;
    }
    if let [minimum] = minimum_host {
        assert!(
            is_short_version(minimum),
            "the minimum host version is not a semantic version such as 1.2.0"
        );
    }
    assert!(build.len() <= text::ENTRIES, "there are more than 64 build facts");
    let mut at = 0;
    while at < build.len() {
        let (key, value) = build[at];
        assert!(
            is_word(key, text::BUILD_KEY) && !has(key, b'='),
            "the key of a build fact is empty, too long, or has an invalid character"
        );
        assert!(
            value.len() <= text::BUILD_VALUE && is_plain(value),
            "the value of a build fact is too long, or has an invalid character"
        );
        at += 1;
    }
}

/// Parses the block of [`plugin_metadata!`](crate::plugin_metadata).
///
/// # Panics
/// If the block is invalid, which [`check_embedded`] excludes.
#[doc(hidden)]
#[must_use]
pub fn embedded(block: &str) -> PluginMetadata {
    PluginMetadata::from_block(block)
        .expect("`check_embedded` has checked the values, when the program was compiled")
}

const fn is_word(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.len() <= limit && is_plain(text)
}

const fn is_short_version(text: &str) -> bool {
    text.len() <= text::VERSION && is_version(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use semver::Version;

    use crate::PluginMetadata;

    #[test]
    fn a_crate_has_its_name_and_version() {
        let expected = PluginMetadata::builder(
            "rpcplugin-core",
            Version::parse(env!("CARGO_PKG_VERSION")).expect("a version"),
        );
        assert_eq!(crate::plugin_metadata!(), expected.clone().finish().expect("valid"));
        let expected = expected
            .capability("a b")
            .capability("c")
            .minimum_host_version(Version::new(1, 0, 0))
            .build_fact("debug", "ä=b");
        let metadata = crate::plugin_metadata!(
            build = { "debug" => concat!("ä", "=b") },
            minimum_host = "1.0.0",
            capabilities = ["c", "a b",]
        );
        assert_eq!(metadata, expected.finish().expect("valid"));
    }

    #[test]
    fn the_block_is_in_the_program() {
        let metadata = crate::plugin_metadata!(name = "the-tests-of-core", version = "0.7.0-rc.1");
        let program = std::fs::read(std::env::current_exe().expect("a path")).expect("readable");
        let block = metadata.to_block();
        assert!(program.windows(block.len()).any(|part| part == block.as_bytes()));
    }

    /// What is compiled is what is parsed: neither more nor less.
    #[test]
    fn limits_are_the_same_when_a_program_is_compiled() {
        const START: &str = "1.0.0-a";
        let x = |length| "x".repeat(length);
        let many = |number| (0..number).map(|n| n.to_string()).collect::<Vec<_>>();
        let version = |length| START.to_owned() + &x(length - START.len());
        let one = || vec!["c".to_owned()];
        let fact = |key: String, value: String| vec![("k".to_owned(), String::new()), (key, value)];
        for (name, version, capabilities, minimum, facts, valid) in [
            (x(128), version(128), one(), Some(version(128)), fact(x(64), x(256)), true),
            (x(129), version(9), one(), None, vec![], false),
            (x(0), version(9), one(), None, vec![], false),
            (x(1), version(129), one(), None, vec![], false),
            (x(1), x(1), one(), None, vec![], false),
            (x(1), version(9), one(), Some(version(129)), vec![], false),
            (x(1), version(9), one(), Some(x(1)), vec![], false),
            (x(1), version(9), many(64), None, vec![], true),
            (x(1), version(9), many(65), None, vec![], false),
            (x(1), version(9), vec![x(1), x(129)], None, vec![], false),
            (x(1), version(9), vec![x(1), x(0)], None, vec![], false),
            (x(1), version(9), vec![], None, fact(x(65), x(0)), false),
            (x(1), version(9), vec![], None, fact(x(0), x(0)), false),
            (x(1), version(9), vec![], None, fact("=".to_owned(), x(0)), false),
            (x(1), version(9), vec![], None, fact(x(1), x(257)), false),
            (x(1), version(9), vec![], None, fact(x(1), "<".to_owned()), false),
            (x(1), version(9), vec![], None, many(64).into_iter().map(|key| (key, x(0))).collect(), true),
            (x(1), version(9), vec![], None, many(65).into_iter().map(|key| (key, x(0))).collect(), false),
        ] {
            let case = format!("{name} {version} {capabilities:?} {minimum:?} {facts:?}");
            let words: Vec<&str> = capabilities.iter().map(|word| &**word).collect();
            let hosts: Vec<&str> = minimum.as_deref().into_iter().collect();
            let build: Vec<(&str, &str)> = facts.iter().map(|(key, value)| (&**key, &**value)).collect();
            let checked =
                std::panic::catch_unwind(|| super::check_embedded(&name, &version, &words, &hosts, &build));
            assert_eq!(checked.is_ok(), valid, "{case}");
            let parsed = PluginMetadata::parse(
                &*name,
                &version,
                facts.clone(),
                capabilities.clone(),
                minimum.as_deref(),
            );
            assert_eq!(parsed.is_ok(), valid, "{case}");
        }
    }

    proptest! {
        /// Values that compile never panic when they are parsed.
        #[test]
        fn values_that_are_checked_can_be_parsed(
            name in "[a-z<]{0,4}|[a]{127,130}",
            version in "[0-9]{1,2}\\.[0-9]\\.[0-9][-+a.0]{0,3}",
            capability in "[a-z\u{80}-\u{a1}<\n ]{0,3}",
            key in "[a-z=]{0,3}",
        ) {
            let build = [(&*key, "v")];
            let checked = std::panic::catch_unwind(|| super::check_embedded(&name, &version, &[&capability], &[], &build));
            let facts = [(key.clone(), "v".to_owned())];
            let parsed = PluginMetadata::parse(&*name, &version, facts, [capability.clone()], None);
            prop_assert_eq!(checked.is_ok(), parsed.is_ok());
        }
    }
}
