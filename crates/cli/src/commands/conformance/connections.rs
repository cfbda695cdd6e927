//! Connections that are closed, silent or full of random bytes.

use futures_util::future::try_join_all;
use rpcplugin::transport::Stream;
use tokio::io::AsyncWriteExt as _;

use super::check::{Check, Mutual, Served, Verdict, check, fail, served_mutual, served_plain};
use crate::raw_host::{PluginUnderTest, health, is_response};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "probe-closed",
        Must,
        closed,
        "A connection that is opened and closed without data does no harm: Go hosts probe in this way before they attach.",
        "Ignore failed and empty connections, and keep accepting.",
    ),
    check!(
        "probe-rubbish",
        Must,
        rubbish,
        "A connection with another protocol is closed and does no harm.",
        "Leave broken connections to the gRPC library, and keep accepting.",
    ),
    check!(
        "probe-silent",
        Must,
        silent,
        "A silent connection does not block other connections.",
        "Do each connection's handshake in a separate task, not in the accept loop.",
    ),
    check!(
        "probe-tls",
        Must,
        tls,
        "Under AutoMTLS, connections that are closed, silent or full of random bytes do no harm.",
        "Do each connection's TLS handshake in a separate task with a timeout.",
    ),
    check!(
        "many-connections",
        Should,
        many,
        "A plugin serves several connections at once: each attached host opens another.",
        "Keep accepting while connections are open.",
    ),
];

async fn closed(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    for _ in 0..5 {
        drop(served.address.dial().await?);
    }
    served.still_serves("five empty connections").await?;
    Ok("five connections closed, and the plugin keeps serving".to_owned())
}

async fn rubbish(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    let _open = send_other_protocols(&served).await?;
    served.still_serves("connections with other protocols").await?;
    Ok("the plugin keeps serving".to_owned())
}

async fn silent(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    let _open = stay_silent(&served).await?;
    served.still_serves("five silent connections").await?;
    Ok("five silent connections, and the plugin keeps serving".to_owned())
}

async fn tls(plugin: &PluginUnderTest) -> Verdict {
    let Mutual { served, .. } = served_mutual(plugin).await?;
    for _ in 0..5 {
        drop(served.address.dial().await?);
    }
    let _broken = send_other_protocols(&served).await?;
    let _silent = stay_silent(&served).await?;
    served.still_serves("closed, silent and broken connections").await?;
    Ok("the plugin keeps serving".to_owned())
}

async fn many(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    let channels = try_join_all((0..10).map(|_| served.channel())).await?;
    let answers = channels.iter().map(|channel| health(channel.clone(), "plugin"));
    let answers = futures_util::future::join_all(answers).await;
    match answers.iter().filter(|answer| is_response(answer)).count() {
        10 => Ok("the plugin serves ten connections at once".to_owned()),
        some => fail(format!("the plugin serves {some} of ten connections")),
    }
}

async fn send_other_protocols(served: &Served) -> Verdict<Vec<Stream>> {
    let mut held = Vec::new();
    for bytes in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"SSH-2.0-nonsense\r\n", &[0xff; 4096]] {
        let mut stream = served.address.dial().await?;
        // The plugin may already have closed the connection.
        let _ = stream.write_all(bytes).await;
        held.push(stream);
    }
    Ok(held)
}

async fn stay_silent(served: &Served) -> Verdict<Vec<Stream>> {
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(served.address.dial().await?);
    }
    Ok(held)
}
