//! No output shows a secret.

use miette::Diagnostic;
use rpcplugin_config::{Format, HostConfig, Loader, PluginConfig, Registry};

/// Part of every secret in these tests.
const SECRET: &str = "s3cret";

fn with_secrets() -> String {
    format!(
        "certificate = '-----BEGIN CERTIFICATE----- {SECRET}'\n\
         private_key = '''-----BEGIN PRIVATE KEY-----\n{SECRET}\n'''\n\
         client_roots = '-----BEGIN CERTIFICATE----- {SECRET}'\n\
         magic_cookie = {{ key = 'KV', value = '{SECRET}' }}\n"
    )
}

#[test]
fn debug_shows_no_secret() {
    let loader = Loader::new()
        .text("c.toml", with_secrets(), Format::Toml)
        .set("private_key", format!("-----BEGIN {SECRET}"));
    let (plugin, host) = (loader.load::<PluginConfig>(), loader.load::<HostConfig>());
    for shown in [format!("{loader:?}"), format!("{plugin:?}"), format!("{host:?}")] {
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn a_loader_shows_no_secret_variable() {
    let loader = Loader::new().env([("PLUGIN_MAGIC_COOKIE_VALUE", SECRET), ("DATABASE_PASSWORD", SECRET)]);
    assert!(!format!("{loader:?}").contains(SECRET));
    let shown = format!("{:?}", loader.load::<PluginConfig>().expect_err("half a cookie"));
    assert!(!shown.contains(SECRET), "{shown}");
    let shown = format!("{:?}", Loader::new().process_env());
    for (name, value) in std::env::vars_os().chain([("PATH".into(), "=".into())]) {
        assert!(shown.contains(&format!("{name:?}: …")), "{name:?} is {} bytes long", value.len());
    }
}

#[test]
fn an_excerpt_around_a_fault_shows_no_secret() {
    let faulty = format!("{}grace = 'soon'\n", with_secrets());
    let bad_secret = format!("private_key = '{SECRET}'\n");
    let broken = [
        format!("{}grace = \n", with_secrets()),
        format!("private_key = '-----BEGIN {SECRET}\ngrace = 1"),
        format!("private_key = '''-----BEGIN X\n{SECRET}"),
        format!("private_key = '''-----BEGIN X\n{SECRET}''' '''"),
    ];
    for text in [faulty, bad_secret].into_iter().chain(broken) {
        let error = Loader::new().text("c.toml", &text, Format::Toml).plugin().expect_err(&text);
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
        for fault in error.faults() {
            let around = fault.source_code().zip(fault.labels()).and_then(|(source, mut labels)| {
                let span = source.read_span(labels.next()?.inner(), 99, 99).expect("inside");
                Some(String::from_utf8_lossy(span.data()).into_owned())
            });
            assert!(!around.expect("an excerpt").contains(SECRET), "{text}");
        }
    }
}

#[test]
fn an_export_has_no_secret() {
    let mut registry = Registry::<PluginConfig>::new();
    registry.import("one", &with_secrets()).expect("valid");
    let export = registry.export("one").expect("there");
    assert!(!export.contains(SECRET) && export.contains("# private_key is a secret"), "{export}");
    assert_eq!(registry.export_all().into_iter().collect::<Vec<_>>(), [("one".to_owned(), export)]);
    assert!(!format!("{registry:?}").contains(SECRET));
    assert!(registry.export_with_secrets("one").expect("there").contains(SECRET));
}
