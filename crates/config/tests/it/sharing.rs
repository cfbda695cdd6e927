//! One file and one environment for host and plugin.

use rpcplugin_config::{Format, HostConfig, IgnoredBecause, Loader, PluginConfig, Side};

#[test]
fn one_file_serves_both_sides() {
    let text = "
        broker_timeout = '9s'
        output_buffer = '2MiB'
        die_with_host = false
        [host]
        grace = '4s'
        [plugin]
        grace = '3s'
        broker_timeout = '8s'
    ";
    let loader = Loader::new().text("c.toml", text, Format::Toml);
    let (plugin, host) = (loader.plugin().expect("valid"), loader.host().expect("valid"));
    assert_eq!((plugin.grace.as_secs(), host.grace.as_secs()), (3, 4));
    assert_eq!((plugin.broker_timeout.as_secs(), host.broker_timeout.as_secs()), (8, 9));
    assert_eq!(plugin.output_buffer.as_u64(), 2 << 20);
    assert!(!host.die_with_host);
}

#[test]
fn a_typo_in_the_other_sides_table_is_a_fault() {
    let loader =
        Loader::new().text("c.toml", "[host]\ngrase = 1\n[plugin]\ndie_with_host = true", Format::Toml);
    let error = loader.plugin().expect_err("two slips");
    assert_eq!(error.faults().len(), 2, "{error:?}");
}

#[test]
fn variables_of_the_handshake_are_not_settings() {
    let offer = [
        ("PLUGIN_PROTOCOL_VERSIONS", "1,2"),
        ("PLUGIN_MIN_PORT", "no port"),
        ("PLUGIN_MAX_PORT", "1"),
        ("PLUGIN_MULTIPLEX_GRPC", "what?"),
        ("PLUGIN_CLIENT_CERT", "garbage"),
        ("PLUGIN_UNIX_SOCKET_DIR", "/run/plugins"),
        ("PLUGIN_UNIX_SOCKET_GROUP", "staff"),
        ("PLUGIN_ORPHAN_TIMEOUT", "soon"),
    ];
    let plugin = Loader::new().env(offer).load::<PluginConfig>().expect("left alone");
    assert_eq!((plugin.config, plugin.ignored.len()), (PluginConfig::default(), 0));

    // A host that is itself a plugin inherits the variables of its own handshake.
    let host = Loader::new().env(offer).load::<HostConfig>().expect("left alone");
    assert_eq!(host.config, HostConfig::default());
    assert_eq!(host.ignored.len(), 7);
    assert!(host.ignored.iter().all(|ignored| ignored.reason == IgnoredBecause::Handshake));

    // Without versions the variables are the host's own settings, except a certificate without its key.
    let host = Loader::new().env([("PLUGIN_MIN_PORT", "2000"), ("PLUGIN_CLIENT_CERT", "garbage")]);
    assert_eq!(*host.host().expect("valid").tcp_ports.numbers().start(), 2000);
    let host = host.env([("PLUGIN_CLIENT_KEY", "-----BEGIN X")]);
    assert_eq!(host.host().expect_err("no certificate").faults().len(), 1);
}

#[test]
fn unknown_variables_are_listed_and_ignored() {
    let loader = Loader::new().env([
        ("PLUGIN_COLOUR", "red"),
        ("PLUGIN_LOG_LEVLE", "debug"),
        ("PLUGIN_DIE_WITH_HOST", "nonsense here, but not ours"),
        ("PLUGIN_UI_ENABLED", "true"),
        ("PATH", "/bin"),
    ]);
    let loaded = loader.load::<PluginConfig>().expect("valid");
    let mut ignored: Vec<_> =
        loaded.ignored.into_iter().map(|ignored| (ignored.name, ignored.reason)).collect();
    ignored.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(ignored.len(), 4);
    assert_eq!(ignored[0], ("PLUGIN_COLOUR".into(), IgnoredBecause::NotASetting { nearest: None }));
    assert_eq!(ignored[1], ("PLUGIN_DIE_WITH_HOST".into(), IgnoredBecause::OtherSide(Side::Host)));
    let nearest = IgnoredBecause::NotASetting { nearest: Some("PLUGIN_LOG_LEVEL") };
    assert_eq!(ignored[2], ("PLUGIN_LOG_LEVLE".into(), nearest));
    assert!(matches!(ignored[3].1, IgnoredBecause::WithoutEffect(_)));
}

#[test]
fn a_table_shares_a_file_with_the_applications_own_settings() {
    let toml = "name = 'app'\ngrace = 'not ours'\n[database]\npassword = 'hunter2'\n[tool.kv]\ngrace = '3s'\n[tool.kv.host]\n\
                min_port = 20000\n[tool.kv.supervision]\nmax_restarts = 7\n[tool.other]\nx = 1\n";
    let json = r#"{"name":"app","grace":"not ours","tool":{"other":1,"kv":{"grace":"3s","host":{"min_port":20000},"supervision":{"max_restarts":7}}}}"#;
    for (text, format) in [(toml, Format::Toml), (json, Format::Json)] {
        let loader = Loader::new().text("app", text, format);
        let host = loader.clone().table("tool.kv").host().expect("valid");
        assert_eq!(
            (host.grace.as_secs(), *host.tcp_ports.numbers().start(), host.supervision.max_restarts),
            (3, 20000, 7)
        );
        assert_eq!(loader.clone().table("tool.kv").plugin().expect("valid").grace.as_secs(), 3);
        assert_eq!(loader.clone().table("tool.none").host().expect("nothing is set"), HostConfig::default());
        assert!(loader.host().is_err(), "without the table it is all this library's");
    }
}

#[test]
fn faults_in_a_table_have_places_and_show_no_text_outside_the_table() {
    use miette::{Diagnostic as _, NarratableReportHandler};

    let text = "name = 'app'\n[database]\npassword = 'hunter2'\n[plugin]\ngrase = '3s'\nworkers = 'many'\n";
    let loader = Loader::new().text("app.toml", text, Format::Toml).table("plugin");
    let error = loader.plugin().expect_err("two faults");
    let places: Vec<_> = error.faults().iter().map(|fault| fault.origin().to_string()).collect();
    assert_eq!(places, ["app.toml:5:1", "app.toml:6:11"]);
    let mut shown = String::new();
    for fault in error.related().expect("faults") {
        NarratableReportHandler::new()
            .with_context_lines(9)
            .render_report(&mut shown, fault)
            .expect("rendered");
    }
    assert!(shown.contains("grase") && !shown.contains("hunter2"), "{shown}");

    let error = loader.table("name").plugin().expect_err("it is text");
    assert!(error.to_string().contains("app.toml:1:8: name cannot be"), "{error}");

    let text = "[[x]]\npassword = 'hunter2'\n[plugin]\ngrase = 1\n[[x]]\npassword = 'hunter2'\n";
    let error =
        Loader::new().text("app.toml", text, Format::Toml).table("plugin").plugin().expect_err("a typo");
    let mut shown = String::new();
    NarratableReportHandler::new()
        .with_context_lines(9)
        .render_report(&mut shown, &error.faults()[0])
        .expect("rendered");
    assert!(shown.contains(": grase = 1") && !shown.contains("hunter2"), "{shown}");

    let nested = |depth, inner: &str| format!("{}{inner}{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    for depth in [1, 20, 23, 24, 25, 40] {
        let others = ["\"hunter2\"", "[\"hunter2\"]"].map(|secret| nested(depth, secret));
        let text = format!("{{\"x\":{},\n\"y\":{},\n\"plugin\":{{\"grase\":1}}}}", others[0], others[1]);
        let error = Loader::new().text("app.json", text, Format::Json).table("plugin").plugin();
        let mut shown = String::new();
        NarratableReportHandler::new()
            .render_report(&mut shown, &error.expect_err("a typo").faults()[0])
            .expect("rendered");
        assert!(shown.contains("grase") && !shown.contains("hunter2"), "{shown}");
    }

    // A table that is too deep to be read is a fault and is not ignored.
    let loader = Loader::new().text("app.json", nested(30, "{\"grace\":\"hunter2\"}"), Format::Json);
    for depth in [23, 24, 30] {
        let error = loader.clone().table(vec!["a"; depth].join(".")).plugin().expect_err("no setting");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_syntax_error_in_a_shared_file_shows_no_line_of_the_application() {
    use miette::{Diagnostic as _, NarratableReportHandler};

    for (text, format) in [
        ("[database]\npassword = \"hunter2\n[plugin]\ngrace = '3s'\n", Format::Toml),
        (r#"{"password":"hunter2","plugin":{"grace":}}"#, Format::Json),
    ] {
        let error =
            Loader::new().text("app", text, format).table("plugin").plugin().expect_err("a syntax error");
        let mut shown = error.to_string();
        for fault in error.related().expect("a fault") {
            NarratableReportHandler::new().render_report(&mut shown, fault).expect("rendered");
        }
        assert!(shown.contains("app") && !shown.contains("hunter2"), "{shown}");
    }
}
