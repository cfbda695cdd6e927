//! The precedence of the layers, for every setting: default, file, variables, program.

use rpcplugin_config::{
    Configuration, Format, HostConfig, Loader, Origin, PluginConfig, PluginTls, Setting, Side, settings,
};

/// Two valid values that differ from the default and from each other, and an invalid value.
struct Samples {
    one: String,
    other: String,
    bad: String,
}

#[test]
fn an_unset_setting_has_its_default() {
    for setting in settings() {
        assert_eq!(
            effective(setting, &Loader::new()),
            (setting.default.to_owned(), Origin::Default),
            "{}",
            setting.name
        );
    }
}

#[test]
fn each_layer_takes_precedence_over_the_one_below() {
    for setting in settings() {
        let Samples { one, other, .. } = samples(setting);
        let shown = |text: &str| {
            if setting.secret && !text.starts_with("file://") { "…".to_owned() } else { text.to_owned() }
        };
        let key = setting.name.as_str();

        for (file, text, format) in [
            ("c.toml", format!("{key} = {one:?}"), Format::Toml),
            ("c.json", nested_json(key, &one), Format::Json),
        ] {
            let loader = with_companions(setting).text(file, text, format);
            let (value, origin) = effective(setting, &loader);
            assert_eq!(value, shown(&one), "{key}");
            assert!(matches!(origin, Origin::File { position: Some((1, _)), .. }), "{key}: {origin}");
        }

        for variable in setting.env {
            let loader = with_companions(setting)
                .text("c.toml", format!("{key} = {one:?}"), Format::Toml)
                .env([(*variable, in_variable(variable, &other))]);
            let (value, origin) = effective(setting, &loader);
            assert_eq!((value, origin), (shown(&other), Origin::Variable((*variable).to_owned())), "{key}");
            assert_eq!(effective(setting, &loader.set(key, &one)), (shown(&one), Origin::Code), "{key}");
        }
    }
}

#[test]
fn every_setting_refuses_invalid_values() {
    for setting in settings() {
        let bad = samples(setting).bad;
        if bad.is_empty() {
            continue;
        }
        let from_file =
            with_companions(setting).text("c.toml", format!("{} = {bad:?}", setting.name), Format::Toml);
        let from_variable = with_companions(setting).env([(setting.env[0], &bad)]);
        for loader in [from_file, from_variable, with_companions(setting).set(&setting.name, &bad)] {
            let error = load(setting, &loader).expect_err(&setting.name);
            assert_eq!(error.faults().len(), 1, "{error:?}");
            assert!(error.to_string().contains(setting.name.rsplit('.').next().expect("a name")), "{error}");
        }
    }
}

#[test]
fn the_first_variable_of_a_setting_takes_precedence() {
    let loader =
        Loader::new().env([("PLUGIN_CLIENT_RETRY_DELAY", "3"), ("PLUGIN_CLIENT_INITIAL_BACKOFF_MS", "200")]);
    let loaded = loader.load::<HostConfig>().expect("valid");
    assert_eq!(loaded.config.retry.expect("on").initial.as_millis(), 200);
    assert_eq!(
        loaded.ignored.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["PLUGIN_CLIENT_RETRY_DELAY is ignored because PLUGIN_CLIENT_INITIAL_BACKOFF_MS is set"]
    );
}

#[test]
fn empty_text_counts_as_unset_and_none_unsets() {
    let file = "grace = ''\nshutdown_file = '/run/stop'\n";
    let loader = Loader::new().text("c.toml", file, Format::Toml).env([("PLUGIN_AUTO_MTLS", "")]);
    let config = loader.plugin().expect("valid");
    assert_eq!((config.grace, &config.tls), (PluginConfig::default().grace, &PluginTls::AUTO));
    assert!(config.shutdown_file.is_some());
    let config = loader.env([("PLUGIN_SHUTDOWN_FILE_PATH", "none")]).plugin().expect("valid");
    assert_eq!(config.shutdown_file, None);
}

#[test]
fn a_group_is_on_if_any_of_its_settings_is_set() {
    let plugin =
        |text: &str| Loader::new().text("c.toml", text, Format::Toml).plugin().expect(text).rate_limit;
    for (text, on) in [
        ("", false),
        ("rate_limit = true", true),
        ("rate_limit = false", false),
        ("[rate_limit]", true),
        ("[rate_limit]\nburst_capacity = 7", true),
        ("[rate_limit]\nenabled = false\nburst_capacity = 7", false),
    ] {
        assert_eq!(plugin(text).is_some(), on, "{text}");
    }
    assert_eq!(plugin("[rate_limit]\nburst_capacity = 7").expect("on").burst_capacity, 7);
}

#[test]
fn a_file_may_have_numbers_arrays_and_tables() {
    let text = "
        transports = ['tcp', 'unix']
        grace = 1.5
        output_buffer = 65536
        health = false
        supported_versions = [4, 6]
        rate_limit.per_service = { 'kv.KV' = '10/20', other = 3 }
        [magic_cookie]
        key = 'KV'
        value = 'hello'
    ";
    let config = Loader::new().text("c.toml", text, Format::Toml).plugin().expect("valid");
    let json = r#"{
        "transports": ["tcp", "unix"], "grace": 1.5, "output_buffer": 65536, "health": false, "workers": null,
        "supported_versions": [4, 6], "rate_limit": { "per_service": { "kv.KV": "10/20", "other": 3 } },
        "magic_cookie": { "key": "KV", "value": "hello" }
    }"#;
    assert_eq!(Loader::new().text("c.json", json, Format::Json).plugin().expect("valid"), config);
    assert_eq!(config.grace.as_millis(), 1500);
    assert_eq!(config.output_buffer.as_u64(), 65536);
    assert!(!config.health);
    assert_eq!(config.supported_versions.expect("set").to_string(), "6,4");
    assert_eq!(config.magic_cookie.expect("set").key(), "KV");
    let rates = config.rate_limit.expect("on").per_service;
    assert_eq!(rates.rate("kv.KV").expect("set").burst_capacity, 20);
    assert_eq!(rates.rate("other").expect("set").burst_capacity, 3);
}

#[test]
fn the_program_may_use_the_names_of_variables_and_of_pyvider() {
    let config = Loader::new()
        .set("PLUGIN_AUTO_MTLS", false)
        .set("plugin_ignore_sigint", "no")
        .set("http2.max_frame", "1MiB")
        .plugin()
        .expect("valid");
    assert_eq!((config.tls, config.ignore_sigint), (PluginTls::Plaintext, false));
    assert_eq!(config.http2.max_frame.as_u64(), 1 << 20);
}

#[test]
fn values_are_read_from_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        format!("file://{}", path.display())
    };
    let config = Loader::new()
        .env([
            ("PLUGIN_MAGIC_COOKIE_KEY", "KV".to_owned()),
            ("PLUGIN_MAGIC_COOKIE_VALUE", file("cookie", "hello\n")),
            ("PLUGIN_GRPC_GRACE_PERIOD", file("grace", " 3s ")),
            ("PLUGIN_SERVER_CERT", file("cert.pem", "-----BEGIN CERTIFICATE-----")),
            ("PLUGIN_SERVER_KEY", file("key.pem", "-----BEGIN PRIVATE KEY-----")),
            ("PLUGIN_CLIENT_ROOT_CERTS", file("roots.pem", "-----BEGIN CERTIFICATE-----")),
        ])
        .plugin()
        .expect("valid");
    assert_eq!(config.magic_cookie.expect("set").value(), "hello");
    assert_eq!(config.grace.as_secs(), 3);
    let PluginTls::Given { certificate, .. } = config.tls else { panic!("{:?}", config.tls) };
    assert!(certificate.file().expect("kept by name").ends_with("cert.pem"));

    let json = directory.path().join("c.JSON");
    std::fs::write(&json, r#"{"grace": "3s"}"#).expect("written");
    assert_eq!(Loader::new().file(json).plugin().expect("valid").grace.as_secs(), 3);

    let sized = |length: usize| file("sized", &format!("3s{}", " ".repeat(length - 2)));
    let config = Loader::new().set("grace", sized(4 << 20)).plugin().expect("small enough");
    assert_eq!(config.grace.as_secs(), 3);
    Loader::new().set("grace", sized((4 << 20) + 1)).plugin().expect_err("larger than 4 MiB");
}

#[track_caller]
fn effective(setting: &Setting, loader: &Loader) -> (String, Origin) {
    load(setting, loader).unwrap_or_else(|error| panic!("{}: {error}", setting.name))
}

fn load(setting: &Setting, loader: &Loader) -> Result<(String, Origin), rpcplugin_config::ConfigError> {
    fn of<C: Configuration>(
        setting: &Setting,
        loader: &Loader,
    ) -> Result<(String, Origin), rpcplugin_config::ConfigError> {
        let loaded = loader.load::<C>()?;
        let found = loaded.effective.into_iter().find(|effective| effective.setting == setting);
        let effective = found.expect("every setting has a value");
        Ok((effective.value, effective.origin))
    }
    match setting.side {
        Side::Host => of::<HostConfig>(setting, loader),
        _ => of::<PluginConfig>(setting, loader),
    }
}

/// A loader with the settings that the setting requires.
fn with_companions(setting: &Setting) -> Loader {
    let loader = Loader::new();
    let pem = "-----BEGIN X";
    let loader = match (setting.name.as_str(), setting.side) {
        ("certificate" | "private_key", Side::Plugin) => loader.set("client_roots", pem),
        _ => loader,
    };
    match setting.name.as_str() {
        "certificate" => loader.set("private_key", pem),
        "private_key" => loader.set("certificate", pem),
        "magic_cookie.key" => loader.set("magic_cookie.value", "hello"),
        "magic_cookie.value" => loader.set("magic_cookie.key", "KV"),
        name => match name.rsplit_once('.') {
            // A setting in a group that is off has no effect.
            Some((group @ ("rate_limit" | "keepalive" | "retry"), setting)) if setting != "enabled" => {
                loader.set(format!("{group}.enabled"), true)
            }
            _ => loader,
        },
    }
}

/// Returns the text for a variable: a plain number for `_MS`, and a path for `_FILE`.
fn in_variable(variable: &str, text: &str) -> String {
    if variable.ends_with("_MS") {
        let milliseconds = text.strip_suffix("m").map(|minutes| format!("{minutes}0000"));
        return milliseconds.map_or_else(|| text.replace("ms", ""), |ten_thousands| scaled(&ten_thousands));
    }
    match text.strip_prefix("file://") {
        Some(path) if variable.ends_with("_FILE") => path.to_owned(),
        _ => text.to_owned(),
    }
}

/// Converts minutes times 10 000 to milliseconds.
fn scaled(ten_thousands: &str) -> String {
    (ten_thousands.parse::<u64>().expect("a number") * 6).to_string()
}

fn nested_json(key: &str, value: &str) -> String {
    match key.split_once('.') {
        Some((group, leaf)) => format!("{{ {group:?}: {{ {leaf:?}: {value:?} }} }}"),
        None => format!("{{ {key:?}: {value:?} }}"),
    }
}

fn samples(setting: &Setting) -> Samples {
    let samples = |one: &str, other: &str, bad: &str| Samples {
        one: one.to_owned(),
        other: other.to_owned(),
        bad: bad.to_owned(),
    };
    let kind = setting.kind.replace(' ', "");
    match (setting.name.as_str(), kind.trim_start_matches("Option<").trim_end_matches('>')) {
        ("keepalive.interval", _) => samples("6m", "7m", "soon"),
        ("terminate_after", _) => samples("300ms", "400ms", "soon"),
        ("min_port", _) => samples("1024", "2048", "70000"),
        ("max_port", _) => samples("50000", "60000", "-1"),
        ("http2.max_frame", _) => samples("32KiB", "64KiB", "1KiB"),
        ("magic_cookie.key", _) => samples("KV", "OTHER", "A=B"),
        ("magic_cookie.value", _) => samples("hello", "world", ""),
        (_, "bool") if setting.default == "true" => samples("false", "false", "maybe"),
        (_, "bool") => samples("true", "true", "2"),
        (_, "Duration") => samples("300ms", "400ms", "soon"),
        (_, "ByteSize") => samples("128KiB", "512KiB", "many"),
        (_, "u16" | "u32" | "usize" | "TcpPort") => samples("7", "9", "-1"),
        (_, "f64") => samples("7.5", "9", "nan"),
        (_, "Rates") => samples("kv.KV=1/2", "kv.KV=3/4", "kv.KV"),
        (_, "Pem" | "SecretPem") => {
            let here = format!("file://{}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
            samples(&here, &here, "not PEM")
        }
        (_, "PathBuf") => samples("/run/one", "/run/other", ""),
        (_, "String") => samples("staff", "users", ""),
        (_, "IpAddr") => samples("::1", "127.0.0.2", "here"),
        (_, "Vec<TransportKind") => samples("tcp", "unix", "ipc"),
        (_, "LogLevel") => samples("debug", "error", "loud"),
        (_, "Versions") => samples("6,5", "4", "newest"),
        (_, "EnvPolicy") => samples("clear", "PATH, HOME", "PATH HOME"),
        (name, kind) => panic!("no samples for {name}: {kind}"),
    }
}
