//! Variables whose names are probably typos.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use rpcplugin_config::{HostConfig, Loader};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Collects the variables of warnings.
#[derive(Clone, Default)]
struct Warned(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warned {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Warned {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "variable" {
            self.0.lock().expect("no test panics here").push(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[test]
fn a_probable_typo_is_logged_once_in_a_process() {
    let loader = Loader::new().env([("PLUGIN_BROKER_TIMEOUTE", "2s"), ("PLUGIN_COLOUR", "red")]);
    let warned = Warned::default();
    tracing::subscriber::with_default(warned.clone(), || {
        loader.load::<HostConfig>().expect("valid");
        assert!(warned.0.lock().expect("no test panics here").is_empty(), "`load` logs nothing");
        loader.host().expect("valid");
        loader.plugin().expect("valid");
        loader.host().expect("valid");
    });
    assert_eq!(*warned.0.lock().expect("no test panics here"), ["PLUGIN_BROKER_TIMEOUTE"]);
}

#[test]
fn a_typo_in_a_variables_name_is_detected() {
    let is_typo = |name: &str| {
        let loaded = Loader::new().env([(name, "2s")]).load::<HostConfig>().expect("valid");
        loaded.ignored.iter().any(|ignored| ignored.name == name && ignored.is_typo())
    };
    for slip in [
        "PLUGIN_HANDSHAKE_TIMOUT",
        "PLUGIN_HANDSHAKE_TIMEOUTS",
        "PLUGIN_HANDHSAKE_TIMEOUT",
        "PLUGIN_AUTOMTLS",
        "PLUGIN_AUTO_MLTS",
        "PLUGIN_STOP_GRACE_PERIODE",
    ] {
        assert!(is_typo(slip), "{slip}");
    }
    for other in [
        "PLUGIN_HANDSHAKE_TIMEOUT",
        "PLUGIN_PROTOCOL_VERSIONS",
        "PLUGIN_MAGIC_COOKIE",
        "PLUGIN_WORKERS",
        "PLUGIN_DIR",
        "PLUGIN_MIN_PORT2",
        "PLUGIN_MODE",
        "MY_PLUGIN_HANDSHAKE_TIMOUT",
        "TF_PLUGIN_CACHE_DIR",
    ] {
        assert!(!is_typo(other), "{other}");
    }
}
