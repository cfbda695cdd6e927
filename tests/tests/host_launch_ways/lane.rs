//! The lane, which takes the place of HTTP/2 between two ends of this library.

use rpcplugin::{
    Command, Exit, Host, MagicCookie, Plugin,
    config::{HostConfig, HostTls},
    transport::LANE_VERSION,
};
use rpcplugin_tests::{
    pb::{GreetRequest, sub_client::SubClient},
    support::{programs::peer, scripts::script},
};
use tonic::Code;

const SUBJECT: &str = env!("CARGO_BIN_EXE_plugin-subject");

/// A host that offers the lane.
fn host(change: impl FnOnce(&mut HostConfig)) -> Host {
    let cookie = MagicCookie::new("PLUGIN_SUBJECT", "yes").expect("a key and a value");
    Host::new(cookie, 1).configure(|config| config.lane = true).configure(change)
}

/// Greets the plugin, over this many brokered connections in turn.
async fn greet(plugin: &Plugin, name: &str, brokered: usize) -> String {
    let greet = |channel, name: &str| {
        let request = GreetRequest { name: name.to_owned() };
        async move { SubClient::new(channel).greet(request).await.expect("it responds").into_inner().text }
    };
    let mut channel = plugin.channel();
    for _ in 0..brokered {
        let id: u32 = greet(channel, "serve").await.parse().expect("an id");
        channel = plugin.broker().dial(id.into()).await.expect("it is served");
    }
    greet(channel, name).await
}

fn announced(plugin: &Plugin) -> Option<u32> {
    plugin.handshake_line().expect("launched").lane
}

#[tokio::test]
async fn every_kind_of_connection_carries_it() {
    let changes: [fn(&mut HostConfig); 4] = [
        |_| {},
        |config| config.tls = HostTls::Plaintext,
        |config| config.multiplex = true,
        |config| config.inherit_connection = true,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let plugin = host(change).launch(Command::new(SUBJECT)).await.expect("it starts");
        assert_eq!(announced(&plugin), Some(LANE_VERSION), "{number}");
        assert_eq!(greet(&plugin, "you", 0).await, "hello you", "{number}");
        assert_eq!(greet(&plugin, "you", 3).await, "hello you", "{number}");
        assert_eq!(plugin.shut_down().await, Exit::Clean, "{number}");
    }
}

#[tokio::test]
async fn only_a_child_of_the_host_that_offers_it_announces_it() {
    let own = format!("{LANE_VERSION}:{}", std::process::id());
    for (text, expected) in [
        (format!("exec {SUBJECT}"), Some(LANE_VERSION)),
        // The parent of the plugin is the shell, as a plugin in Go may be that starts plugins itself.
        (format!("{SUBJECT}; exit $?"), None),
        (format!("PLUGIN_HOST_LANE=1:1 exec {SUBJECT}"), None),
        (format!("PLUGIN_HOST_LANE=999:{} exec {SUBJECT}", std::process::id()), None),
        (format!("PLUGIN_HOST_LANE=true exec {SUBJECT}"), None),
        (format!("unset PLUGIN_HOST_LANE; exec {SUBJECT}"), None),
    ] {
        let plugin = host(|_| {}).launch(script(&text)).await.expect(&text);
        assert_eq!(announced(&plugin), expected, "{text}");
        assert_eq!(greet(&plugin, "you", 1).await, "hello you", "{text}");
        assert_eq!(plugin.shut_down().await, Exit::Clean, "{text}");
    }
    // A host without the setting removes what it has inherited, and the line then has no further field.
    let plain = host(|config| config.lane = false);
    let plugin = plain.launch(Command::new(SUBJECT)).await.expect("it starts");
    assert_eq!(announced(&plugin), None);
    plugin.shut_down().await;
    // A host that has not asked for it does not use it.
    let plugin = plain.launch(Command::new(SUBJECT).env("PLUGIN_HOST_LANE", own)).await.expect("it starts");
    assert_eq!(announced(&plugin), Some(LANE_VERSION));
    assert_eq!(greet(&plugin, "you", 1).await, "hello you");
    plugin.shut_down().await;
}

#[tokio::test]
async fn a_host_that_attaches_uses_http2() {
    let plugin = host(|_| {}).launch(Command::new(SUBJECT)).await.expect("it starts");
    assert_eq!(announced(&plugin), Some(LANE_VERSION));
    let second = host(|_| {}).attach(plugin.reattach_config()).await;
    if plugin.security().is_mutual() {
        // Another identity is refused on any protocol.
        assert!(second.is_err());
    }
    plugin.shut_down().await;

    let plain = host(|config| config.tls = HostTls::Plaintext);
    let plugin = plain.launch(Command::new(SUBJECT)).await.expect("it starts");
    let second = plain.attach(plugin.reattach_config()).await.expect("it listens");
    assert_eq!(greet(&second, "you", 1).await, "hello you");
    assert_eq!(greet(&plugin, "you", 1).await, "hello you");
    drop(second);
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn a_call_that_a_dying_plugin_cuts_reports_how_it_ended() {
    let plugin = host(|_| {}).launch(Command::new(SUBJECT)).await.expect("it starts");
    let pid = plugin.pid().expect("a process");
    let dir = tempfile::tempdir().expect("a directory");
    let begun = dir.path().join("begun");
    let name = format!("child touch {}; exec sleep 30", begun.display());
    let channel = plugin.channel();
    let call = tokio::spawn(async move {
        let request = GreetRequest { name };
        SubClient::new(channel).greet(request).await
    });
    while !begun.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let kill = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    assert!(kill.expect("it runs").success());
    let status = call.await.expect("no panic").expect_err("it is cut");
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("SIGKILL"), "{status:?}");
}

#[tokio::test]
async fn plugins_in_go_are_not_disturbed() {
    let Some(program) = peer("go", "kit-plugin") else { return };
    let host = rpcplugin_tests::support::conformance::host().configure(|config| config.lane = true);
    let plugin = host.launch(Command::new(program)).await.expect("it starts");
    assert_eq!(announced(&plugin), None);
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}
