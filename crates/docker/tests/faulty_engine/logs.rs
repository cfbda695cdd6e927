//! What bollard writes to the `log` facade.

use std::sync::{Mutex, PoisonError};

use rpcplugin_docker::{Credentials, Pull};

use super::*;
use crate::engine::FakeEngine;

struct Collector(Mutex<String>);

static COLLECTOR: Collector = Collector(Mutex::new(String::new()));

impl log::Log for Collector {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.target(), record.args());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn no_log_has_a_variable_or_a_password() {
    log::set_logger(&COLLECTOR).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let engine = FakeEngine::start();
    let credentials = Credentials::new("ada", "hunter3");
    let container = engine.container().env("TOKEN", "hunter4").pull(Pull::Always).credentials(credentials);
    let mut started = start(&container.memory(1 << 20)).await.unwrap();
    engine.exit(0, false);
    rpcplugin_client::PluginProcess::wait(&mut started.process).await;
    let log = COLLECTOR.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(log.contains("bollard"), "it logs: {log}");
    assert!(!log.contains("hunter"), "{log}");
    let encoded = engine.received("POST /images/create").remove(0).headers["x-registry-auth"].clone();
    assert!(!log.contains(&encoded), "{log}");
}
