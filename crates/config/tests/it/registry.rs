//! Named configurations.

use miette::Diagnostic;
use rpcplugin_config::{HostConfig, HostTls, PluginConfig, Registry, RegistryError};

fn code(error: &RegistryError) -> String {
    error.code().expect("a code").to_string()
}

#[test]
fn a_name_is_taken_once() {
    let mut registry = Registry::new();
    registry.register("one", HostConfig::default()).expect("free");
    let error = registry.register("one", HostConfig::default()).expect_err("taken");
    assert!(matches!(error, RegistryError::NameTaken { .. }));
    assert_eq!(code(&error), "rpcplugin::config::registry_name_taken");
    registry.import("one", "").expect_err("taken");
    assert_eq!(registry.names().collect::<Vec<_>>(), ["one"]);
    assert!(registry.unregister("one").is_some() && registry.unregister("one").is_none());
    registry.register("one", HostConfig::default()).expect("free again");
    registry.clear();
    assert_eq!(registry.names().count(), 0);
}

#[test]
fn an_invalid_configuration_is_not_registered() {
    let mut registry = Registry::new();
    let mut config = HostConfig::default();
    config.transports.clear();
    assert!(matches!(registry.register("one", config), Err(RegistryError::Invalid { .. })));

    registry.register("one", HostConfig::default()).expect("valid");
    let error = registry.update("one", [("grace", "soon"), ("graze", "1s")]).expect_err("twice wrong");
    let RegistryError::Invalid { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.faults().len(), 2);
    assert_eq!(registry.get("one"), Some(&HostConfig::default()), "it is as it was before");
    assert_eq!(code(&error), "rpcplugin::config::registry_invalid");
    let error = registry.update("two", [("grace", "1s")]).expect_err("not there");
    assert_eq!(code(&error), "rpcplugin::config::registry_unknown_name");
    assert!(matches!(registry.export("two"), Err(RegistryError::UnknownName { .. })));
}

#[test]
fn an_update_changes_only_the_named_settings() {
    let mut registry = Registry::<PluginConfig>::new();
    registry.register("one", PluginConfig::default()).expect("valid");
    registry.update("one", [("rate_limit.burst_capacity", 7), ("workers", 2)]).expect("valid");
    registry.update("one", [("PLUGIN_IGNORE_SIGINT", false)]).expect("valid");
    let config = registry.get("one").expect("there");
    assert_eq!((config.workers, config.ignore_sigint), (2, false));
    assert_eq!(config.rate_limit.as_ref().expect("on").burst_capacity, 7);
    registry.update("one", [("rate_limit.enabled", false)]).expect("valid");
    assert_eq!(registry.get("one").expect("there").rate_limit, None);
}

#[test]
fn an_export_can_be_imported() {
    let mut registry = Registry::<PluginConfig>::new();
    let text = "rate_limit.per_service = 'a=1/2, b=3/4'\nmagic_cookie = { key = 'K', value = 'a \"b\" \\\\ é' }\n\
                certificate = \"-----BEGIN X\\nY\"\nprivate_key = '-----BEGIN Z'\nclient_roots = '-----BEGIN Y'\nmax_send_message_size = '4MB'";
    registry.import("one", text).expect("valid");
    let export = registry.export_with_secrets("one").expect("there");
    registry.import("two", &export).expect("valid");
    assert_eq!(registry.get("one"), registry.get("two"));

    let identity =
        "certificate = '-----BEGIN X'\nprivate_key = '-----BEGIN Z'\nserver_roots = '-----BEGIN Y'";
    for text in [
        "auto_mtls = false\nmin_port = 0\nmax_port = 0",
        "server_roots = '-----BEGIN Y'\nmin_port = 20000",
        identity,
    ] {
        let mut registry = Registry::<HostConfig>::new();
        registry.import("one", text).expect("valid");
        let export = registry.export_with_secrets("one").expect("there");
        registry.import("two", &export).expect("valid");
        assert_eq!(registry.get("one"), registry.get("two"));
        registry.update("two", [("grace", "7s")]).expect("valid");
        let (one, two) = (registry.get("one").expect("there"), registry.get("two").expect("there"));
        assert_eq!((&one.tls, &one.tcp_ports), (&two.tls, &two.tcp_ports), "{text}");
        assert_ne!((&one.tls, &one.tcp_ports), (&HostTls::AUTO, &HostConfig::default().tcp_ports), "{text}");
    }
}
