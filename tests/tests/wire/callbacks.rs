//! A plugin that calls a host without callbacks.

use std::time::Duration;

use rpcplugin::{Command, Host, MagicCookie, config::HostTls};
use rpcplugin_tests::tracing_support::ask;
use tokio::time::timeout;
use tonic::Code;

#[tokio::test]
async fn a_host_without_callbacks_says_so_at_once() {
    for (multiplex, mutual) in [(false, false), (false, true), (true, true)] {
        let host = Host::new(MagicCookie::new("TRACE_KIT_COOKIE", "trace").unwrap(), 1).configure(|config| {
            config.multiplex = multiplex;
            config.tls = if mutual { HostTls::AUTO } else { HostTls::Plaintext };
        });
        // A dial that waits takes longer than this test.
        let command = Command::new(env!("CARGO_BIN_EXE_trace-plugin")).env("PLUGIN_BROKER_TIMEOUT", "300s");
        let plugin = host.launch(command).await.unwrap();
        for _ in 0..2 {
            let asked =
                timeout(Duration::from_secs(60), ask(plugin.channel(), "Host")).await.expect("at once");
            let status = asked.expect_err("the host has no callbacks");
            assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
            assert!(status.message().contains("Host::callbacks"), "{status:?}");
        }
    }
}
