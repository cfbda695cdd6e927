//! Faults: all at once, each with its place, a code and help.

use std::error::Error;

use miette::Diagnostic;
use rpcplugin_config::{ConfigError, Format, HostConfig, Loader, Origin, PluginConfig};

#[test]
fn all_faults_are_reported_at_once() {
    let file = "\
grase = '1s'
output_buffer = 'huge'
health = ['yes']

[http2]
max_frame = '64MiB'
";
    let error = Loader::new()
        .text("plugin.toml", file, Format::Toml)
        .env([("PLUGIN_AUTO_MTLS", "maybe"), ("PLUGIN_SERVER_PORT", "99999"), ("PLUGIN_INSECURE", "true")])
        .set("workers", 0)
        .set("colour", "red")
        .plugin()
        .expect_err("nine faults");
    let mut shown: Vec<String> = error.faults().iter().map(ToString::to_string).collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            "PLUGIN_AUTO_MTLS: auto_mtls cannot be \"maybe\"",
            "PLUGIN_SERVER_PORT: tcp_port cannot be \"99999\"",
            "`PLUGIN_INSECURE` cannot be set to \"true\": the setting has no effect in pyvider either",
            "plugin.toml:1:1: there is no setting `grase`",
            "plugin.toml:2:17: output_buffer cannot be \"huge\"",
            "plugin.toml:3:10: health cannot be this array",
            "plugin.toml:6:13: http2.max_frame cannot be 64MiB",
            "the program: there is no setting `colour`",
            "the program: workers cannot be 0",
        ]
    );
    for fault in error.faults() {
        let code = fault.code().expect("a code").to_string();
        assert!(code.starts_with("rpcplugin::config::"), "{code}");
        assert!(!fault.help().expect("help").to_string().is_empty());
    }
    assert_eq!(error.related().expect("related").count(), 9);
    let text = error.to_string();
    let places =
        text.strip_prefix("the configuration of the plugin cannot be used: 9 faults in ").expect(&text);
    let mut places: Vec<_> = places.split(", ").collect();
    places.sort_unstable();
    assert_eq!(
        places,
        [
            "PLUGIN_AUTO_MTLS",
            "PLUGIN_INSECURE",
            "PLUGIN_SERVER_PORT",
            "plugin.toml:1:1",
            "plugin.toml:2:17",
            "plugin.toml:3:10",
            "plugin.toml:6:13",
            "the program",
        ]
    );
    assert!(help(&error).contains("each fault"), "{error:?}");
}

#[test]
fn a_fault_underlines_its_place() {
    for (name, text, format, underlined) in [
        ("c.toml", "health = true\ngrace = 'soon' # how soon?\n", Format::Toml, "'soon'"),
        ("c.toml", "health = true\ngrase = 'soon'\n", Format::Toml, "grase"),
        ("c.toml", "[plugin]\nhttp2.max_frame = 1\n", Format::Toml, "1"),
        ("c.toml", "[http2]\nmax_frames = 1\n", Format::Toml, "max_frames"),
        ("c.json", "{\n  \"health\": true,\n  \"grace\": \"soon\"\n}", Format::Json, "\"soon\""),
        ("c.json", "{ \"http2\": { \"max_frames\": 1 } }", Format::Json, "\"max_frames\""),
        ("c.json", "{ \"http2\": 1 }", Format::Json, "1"),
    ] {
        let error = Loader::new().text(name, text, format).plugin().expect_err(text);
        let [fault] = error.faults() else { panic!("{error:?}") };
        let label = fault.labels().expect("a label").next().expect("one");
        assert_eq!(&text[label.offset()..label.offset() + label.len()], underlined, "{text}");
        let source = fault.source_code().expect("the text");
        let span = source.read_span(label.inner(), 0, 0).expect("inside");
        assert_eq!(span.name(), Some(name));
        assert!(matches!(fault.origin(), Origin::File { position: Some(_), .. }));
    }
}

#[test]
fn a_typo_is_answered_with_the_nearest_name() {
    for (text, right) in [
        ("grase = 1", "`grace`"),
        ("PLUGIN_IGNORE_SIGINT = true", "`ignore_sigint`"),
        ("plugin_auto_mtls = true", "`auto_mtls`"),
        ("[rate_limit]\nrequests_per_secnd = 1", "`rate_limit.requests_per_second`"),
        ("ports = 1", "docs/configuration.md"),
    ] {
        let error = Loader::new().text("c.toml", text, Format::Toml).plugin().expect_err(text);
        let help = error.faults()[0].help().expect("help").to_string();
        assert!(help.contains(right), "{help}");
    }
}

#[test]
fn values_that_contradict_each_other_are_a_fault() {
    let plugin =
        |text: &str| Loader::new().text("c.toml", text, Format::Toml).plugin().map(|_: PluginConfig| ());
    let host = |text: &str| Loader::new().text("c.toml", text, Format::Toml).host().map(|_: HostConfig| ());
    let pem = "'-----BEGIN X'";
    let empty = tempfile::NamedTempFile::new().expect("a file");
    for (text, code) in [
        (format!("certificate = {pem}"), "incomplete_identity"),
        (format!("private_key = {pem}"), "incomplete_identity"),
        (format!("certificate = {pem}\nprivate_key = {pem}"), "certificate_without_roots"),
        (format!("client_roots = {pem}\nauto_mtls = false"), "roots_without_tls"),
        ("magic_cookie.key = 'KV'".to_owned(), "cookie_incomplete"),
        ("magic_cookie.value = 'hello'".to_owned(), "cookie_incomplete"),
        ("magic_cookie = { key = 'A=B', value = 'c' }".to_owned(), "cookie_key_invalid"),
        (format!("unix_socket_path = '/{}'", "x".repeat(200)), "rpcplugin::transport::path_too_long"),
        ("rate_limit.requests_per_second = 0".to_owned(), "out_of_range"),
        ("rate_limit.burst_capacity = 0".to_owned(), "out_of_range"),
        ("rate_limit = { enabled = false, burst_capacity = 'x' }".to_owned(), "not_allowed"),
        ("grace = '2h'".to_owned(), "out_of_range"),
        ("max_receive_message_size = 0".to_owned(), "out_of_range"),
        ("http2.stream_window = '2GiB'".to_owned(), "out_of_range"),
        ("supported_versions = 'file:///nowhere/at/all'".to_owned(), "value_file"),
        (format!("supported_versions = 'file://{}'", empty.path().display()), "value_file_empty"),
        ("insecure = true".to_owned(), "unknown_setting"),
    ] {
        check(&text, plugin(&text), code);
    }
    let retired = Loader::new().env([("PLUGIN_INSECURE", "true")]).plugin().map(|_| ());
    check("PLUGIN_INSECURE", retired, "without_effect");
    for name in ["PLUGIN_INSECURE", "plugin_insecure"] {
        check(name, Loader::new().set(name, true).plugin().map(|_| ()), "without_effect");
        Loader::new().set(name, false).plugin().expect("without effect in pyvider either");
    }
    for (text, code) in [
        (format!("certificate = {pem}"), "incomplete_identity"),
        (format!("server_roots = {pem}\nauto_mtls = false"), "roots_without_tls"),
        ("min_port = 9\nmax_port = 8".to_owned(), "port_range_reversed"),
        ("min_port = 0".to_owned(), "out_of_range"),
        ("terminate_after = '3s'".to_owned(), "wrong_order"),
        ("keepalive.interval = '30s'".to_owned(), "keepalive_too_frequent"),
        ("retry = { initial = '9s' }".to_owned(), "wrong_order"),
        ("retry.multiplier = 0.5".to_owned(), "out_of_range"),
        ("supervision.multiplier = 0.5".to_owned(), "out_of_range"),
        ("launch_timeout = 0".to_owned(), "out_of_range"),
    ] {
        check(&text, host(&text), code);
    }
    assert!(host("keepalive = { interval = '30s', permitted = true }").is_ok());
    assert!(host("min_port = 0\nmax_port = 0").is_ok());
    assert!(host("retry = { initial = '5s', max = '5s' }").is_ok());
    let error = check("[]", host("transports = []"), "not_allowed");
    assert!(error.to_string().ends_with("transports cannot be an empty array"), "{error}");
}

#[test]
fn a_value_out_of_range_is_answered_with_the_range() {
    let plugin = |text: &str| Loader::new().text("c.toml", text, Format::Toml).plugin().map(|_| ());
    let host = |text: &str| Loader::new().text("c.toml", text, Format::Toml).host().map(|_| ());
    for (text, range) in [
        ("output_buffer = 1", "from 4KiB to 1GiB"),
        ("output_timeout = '25h'", "from 0s to 1d"),
        ("grace = '61m'", "from 0s to 1h"),
        ("ready_timeout = 0", "from 1ms to 1d"),
        ("workers = 0", "from 1 to 1024"),
        ("http2.stream_window = '2GiB'", "from 16KiB to 2147483647"),
        ("http2.connection_window = 1", "from 65535 to 2147483647"),
        ("http2.max_frame = '16MiB'", "from 16KiB to 16777215"),
        ("http2.max_headers = 1", "from 4KiB to 1GiB"),
        ("rate_limit.requests_per_second = 0", "from 0.000011574074074074073 to 1000000000"),
        ("rate_limit.per_method = 'a=1e-5'", "from 0.000011574074074074073 to 1000000000"),
    ] {
        assert_eq!(
            help(&check(text, plugin(text), "out_of_range")),
            format!("give a value {range}"),
            "{text}"
        );
    }
    for (text, range) in [
        ("handshake_line_limit = 1", "from 4KiB to 16MiB"),
        ("log_line_limit = 1", "from 1KiB to 64MiB"),
        ("stderr_tail_bytes = '65MiB'", "from 0 to 64MiB"),
        ("keepalive.interval = '25h'", "from 1s to 1d"),
        ("supervision.probe_interval = '1ms'", "from 10ms to 1d"),
    ] {
        assert_eq!(help(&check(text, host(text), "out_of_range")), format!("give a value {range}"), "{text}");
    }
    check("299s", host("keepalive.interval = '299s'"), "keepalive_too_frequent");
    host("keepalive.interval = '300s'").expect("not too frequent");
}

#[test]
fn a_configuration_made_in_code_is_checked_too() {
    let mut config = PluginConfig::default();
    assert!(config.check().is_ok());
    config.transports.clear();
    config.workers = 0;
    let error = config.check().expect_err("twice wrong");
    assert_eq!(error.faults().len(), 2);
    assert!(error.faults().iter().all(|fault| *fault.origin() == Origin::Code));
    let mut config = HostConfig::default();
    config.transports.clear();
    assert_eq!(config.check().expect_err("once wrong").faults().len(), 1);
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let directory = tempfile::tempdir().expect("a directory");
    let broken = directory.path().join("broken.toml");
    std::fs::write(&broken, "health = true\ngrace = \n").expect("written");
    let yaml = directory.path().join("c.yaml");
    std::fs::write(&yaml, "grace: 1").expect("written");
    let bytes = directory.path().join("bytes.toml");
    std::fs::write(&bytes, b"grace = '\xff'").expect("written");
    for (path, code, line) in [
        (&broken, "syntax", Some(2)),
        (&yaml, "file_format", None),
        (&bytes, "file_not_readable", None),
        (&directory.path().to_owned(), "file_not_readable", None),
        (&directory.path().join("nowhere.toml"), "file_not_readable", None),
    ] {
        for loader in [Loader::new().env([("PLUGIN_CONFIG_FILE", path)]), Loader::new().file(path)] {
            let error = check(&path.display().to_string(), loader.plugin().map(|_| ()), code);
            let Origin::File { path: named, position } = error.faults()[0].origin() else {
                panic!("{error:?}")
            };
            assert_eq!((named, position.map(|(line, _)| line)), (path, line));
        }
    }
    let error =
        Loader::new().text("c.json", "{ \"grace\": 1,\n }", Format::Json).plugin().expect_err("a comma");
    assert!(matches!(error.faults()[0].origin(), Origin::File { position: Some((2, 2)), .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_a_fault() {
    use std::os::unix::ffi::OsStrExt;
    let bytes = std::ffi::OsStr::from_bytes(b"\xff");
    let result = Loader::new().env([("PLUGIN_LOG_LEVEL", bytes)]).plugin();
    check("bytes", result.map(|_| ()), "not_unicode");
    Loader::new().env([("HOME", bytes)]).plugin().expect("HOME is not a setting");
}

#[test]
fn a_message_does_not_repeat_its_cause() {
    let error = Loader::new().set("shutdown_file", "file:///nowhere/at/all").plugin().expect_err("missing");
    let fault = &error.faults()[0];
    let cause = fault.source().expect("what the system said").to_string();
    assert!(!fault.to_string().contains(&cause), "{fault}: {cause}");
}

#[track_caller]
fn check(what: &str, result: Result<(), ConfigError>, code: &str) -> ConfigError {
    let error = result.expect_err(what);
    let codes: Vec<_> =
        error.faults().iter().map(|fault| fault.code().expect("a code").to_string()).collect();
    let [only] = &codes[..] else { panic!("{what}: {codes:?}") };
    let full = if code.contains("::") { code.to_owned() } else { format!("rpcplugin::config::{code}") };
    assert_eq!(*only, full, "{what}: {error}");
    assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::config::invalid");
    assert_eq!(help(&error), help(&error.faults()[0]), "{error}");
    error
}

fn help(error: &dyn Diagnostic) -> String {
    error.help().expect("help").to_string()
}
