//! No input makes a loader panic, and an export is imported unchanged.

use proptest::prelude::*;
use rpcplugin_config::{Format, Loader, PluginConfig, Registry, legacy_settings, settings};

/// The name of a variable that a loader reads.
fn variable() -> impl Strategy<Value = &'static str> {
    let mut names: Vec<_> = settings().iter().flat_map(|setting| setting.env).copied().collect();
    names.extend(legacy_settings().iter().map(|legacy| legacy.env));
    names.push("PLUGIN_PROTOCOL_VERSIONS");
    prop::sample::select(names)
}

/// Arbitrary text, and text that is nearly valid.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        r"(\PC|\p{C}){0,40}",
        "[0-9]{1,25}(\\.[0-9]{0,3})?( ?[a-zA-Z]{1,4})?",
        "([0-9]{1,4}(ms|s|m|h|d|ns)){1,4}",
        "(true|no|ON|unix|tcp|none|-----BEGIN X|file://|::1|1/2|a=1/2)(,| )?",
    ]
}

proptest! {
    #[test]
    fn variables_never_panic(variables in prop::collection::vec((variable(), value()), 0..8)) {
        let loader = Loader::new().env(variables);
        let (_, _) = (loader.plugin(), loader.host());
    }

    #[test]
    fn files_never_panic(text in r"(\PC|\p{C}){0,40}", json in any::<bool>()) {
        let format = if json { Format::Json } else { Format::Toml };
        let loader = Loader::new().text("c", text, format);
        let (_, _) = (loader.plugin(), loader.host());
    }

    #[test]
    fn files_of_settings_never_panic(
        lines in prop::collection::vec((prop::sample::select(settings()), value()), 0..6),
    ) {
        let text: String = lines.iter().map(|(setting, value)| format!("{} = {value:?}\n", setting.name)).collect();
        let _ = Loader::new().text("c.toml", text, Format::Toml).plugin();
    }

    #[test]
    fn an_exported_configuration_is_imported_unchanged(
        grace in 0u64..3_600_000_000_000,
        buffer in 4096u64..(1 << 30),
        rate in 0.001f64..1e6,
        cookie in "[^\0]*[^\0\\s][^\0]*",
    ) {
        // Text that begins with `file://` names a file.
        prop_assume!(!cookie.starts_with("file://"));
        let mut config = PluginConfig::default();
        config.grace = std::time::Duration::from_nanos(grace);
        config.output_buffer = rpcplugin_config::ByteSize::bytes(buffer);
        let mut limit = rpcplugin_config::RateLimitConfig::default();
        limit.requests_per_second = rate;
        config.rate_limit = Some(limit);
        config.magic_cookie = rpcplugin_core::MagicCookie::new("KV", cookie).ok();

        let mut registry = Registry::new();
        registry.register("one", config.clone()).expect("valid");
        let export = registry.export_with_secrets("one").expect("there");
        registry.import("two", &export).expect("valid");
        prop_assert_eq!(registry.get("two"), Some(&config));
    }
}

#[test]
fn a_deep_file_does_not_overflow_the_stack() {
    for (text, format) in [
        (format!("{{\"grace\": {}", "[".repeat(100_000)), Format::Json),
        (format!("{{\"grace\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000)), Format::Json),
        (format!("{{\"a\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000)), Format::Json),
        (format!("grace = {}", "[".repeat(100_000)), Format::Toml),
    ] {
        Loader::new().text("deep", text, format).plugin().expect_err("nonsense");
    }
}
