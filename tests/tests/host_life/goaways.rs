//! A running plugin that closes its connections with GOAWAY, as Go does with `MaxConnectionAge`.

use std::time::Duration;

use rpcplugin::{Exit, Host, config::HostTls, host::OutputOptions};
use rpcplugin_tests::{
    pb::{EchoRequest, WriteStdioRequest},
    support::{TIMEOUT, conformance::client},
};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::support::{TestHost, peer};

/// Makes so many calls, with such pauses, that several meet a GOAWAY.
async fn lose_no_call(change: impl FnOnce(Host) -> Host) {
    let Some(command) = peer("go") else { return };
    let test_host = TestHost::configured(change);
    let plugin = test_host.launch(command.args(["--max-connection-age", "1s"])).await;
    let mut kit = client(&plugin);
    let mut ticks = interval(Duration::from_millis(15));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for call in 0..500_u32 {
        ticks.tick().await;
        let data: Vec<u8> = call.to_be_bytes().repeat(100);
        let answer = timeout(TIMEOUT, kit.echo(EchoRequest { data: data.clone().into() })).await.unwrap();
        let answer = answer.unwrap_or_else(|status| panic!("call {call}: {status:?}"));
        assert_eq!(answer.into_inner().data, data);
    }
    assert!(plugin.traffic().messages_sent >= 500);
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn goaways_of_a_go_plugin_lose_no_call() {
    lose_no_call(|host| host.configure(|config| config.tls = HostTls::Plaintext)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goaways_of_a_go_plugin_lose_no_call_under_auto_mtls() {
    lose_no_call(|host| host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goaways_of_a_go_plugin_lose_no_call_when_multiplexed() {
    lose_no_call(|host| host.configure(|config| config.multiplex = true)).await;
}

#[tokio::test]
async fn goaways_do_not_disturb_output_and_shutdown() {
    for multiplex in [false, true] {
        let Some(command) = peer("go") else { return };
        let test_host = TestHost::configured(|host| host.configure(|config| config.multiplex = multiplex));
        let plugin = test_host.launch(command.args(["--max-connection-age", "300ms"])).await;
        let mut output = plugin.output(OutputOptions::default());
        for word in ["one", "two", "three"] {
            // The connection has ended when the call is made.
            sleep(Duration::from_millis(600)).await;
            let request = WriteStdioRequest { stdout: word.into(), ..Default::default() };
            timeout(TIMEOUT, client(&plugin).write_stdio(request)).await.unwrap().unwrap();
            assert_eq!(timeout(TIMEOUT, output.next()).await.unwrap().unwrap().bytes, word.as_bytes());
        }
        sleep(Duration::from_millis(600)).await;
        // Without `Shutdown`, the plugin would be killed.
        assert_eq!(plugin.shut_down().await, Exit::Clean);
        assert!(test_host.is_clean());
    }
}
