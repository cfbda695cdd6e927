//! One file and one environment for host and plugin.

use rpcplugin_config::{Format, HostConfig, IgnoredBecause, Loader, PluginConfig, Side};

#[test]
fn one_file_serves_both_sides() {
    let text = "
        broker_patience = '9s'
        output_buffer = '2MiB'
        die_with_host = false
        [host]
        grace = '4s'
        [plugin]
        grace = '3s'
        broker_patience = '8s'
    ";
    let loader = Loader::new().text("c.toml", text, Format::Toml);
    let (plugin, host) = (loader.plugin().expect("valid"), loader.host().expect("valid"));
    assert_eq!((plugin.grace.as_secs(), host.grace.as_secs()), (3, 4));
    assert_eq!((plugin.broker_patience.as_secs(), host.broker_patience.as_secs()), (8, 9));
    assert_eq!(plugin.output_buffer.as_u64(), 2 << 20);
    assert!(!host.die_with_host);
}

#[test]
fn a_slip_in_the_other_sides_table_is_found() {
    let loader =
        Loader::new().text("c.toml", "[host]\ngrase = 1\n[plugin]\ndie_with_host = true", Format::Toml);
    let error = loader.plugin().expect_err("two slips");
    assert_eq!(error.faults().len(), 2, "{error:?}");
}

#[test]
fn an_offer_is_no_configuration() {
    let offer = [
        ("PLUGIN_PROTOCOL_VERSIONS", "1,2"),
        ("PLUGIN_MIN_PORT", "no port"),
        ("PLUGIN_MAX_PORT", "1"),
        ("PLUGIN_MULTIPLEX_GRPC", "what?"),
        ("PLUGIN_CLIENT_CERT", "garbage"),
        ("PLUGIN_UNIX_SOCKET_DIR", "/run/plugins"),
        ("PLUGIN_UNIX_SOCKET_GROUP", "staff"),
    ];
    let plugin = Loader::new().env(offer).load::<PluginConfig>().expect("left alone");
    assert_eq!((plugin.config, plugin.ignored.len()), (PluginConfig::default(), 0));

    // A host that is itself a plugin carries the offer that was made to it.
    let host = Loader::new().env(offer).load::<HostConfig>().expect("left alone");
    assert_eq!(host.config, HostConfig::default());
    assert_eq!(host.ignored.len(), 6);
    assert!(host.ignored.iter().all(|ignored| ignored.reason == IgnoredBecause::Offer));

    // Without versions it is the host's own configuration, but for a certificate without its key.
    let host = Loader::new().env([("PLUGIN_MIN_PORT", "2000"), ("PLUGIN_CLIENT_CERT", "garbage")]);
    assert_eq!(host.host().expect("valid").min_port, 2000);
    let host = host.env([("PLUGIN_CLIENT_KEY", "-----BEGIN X")]);
    assert_eq!(host.host().expect_err("no certificate").faults().len(), 1);
}

#[test]
fn foreign_variables_are_listed_and_left_alone() {
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
