//! Connections that come to nothing must do no harm.

use futures_util::future::try_join_all;
use rpcplugin::transport::{Stream, dial};
use tokio::io::AsyncWriteExt as _;

use super::check::{Check, Mutual, Served, Verdict, check, fail, served_mutual, served_plain};
use crate::raw_host::{PluginUnderTest, answered, health};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "probe-closed",
        Must,
        closed,
        "A connection that is opened and closed without a byte does no harm: Go hosts probe so before they attach.",
        "Take a failed or empty connection for nothing worse than that, and go on accepting.",
    ),
    check!(
        "probe-rubbish",
        Must,
        rubbish,
        "A connection on which something else is spoken is closed, and does no harm.",
        "Leave broken connections to the gRPC library, and go on accepting.",
    ),
    check!(
        "probe-silent",
        Must,
        silent,
        "A connection on which nothing is said holds up nobody else.",
        "Do each connection's handshake in a task of its own, not in the loop that accepts.",
    ),
    check!(
        "probe-tls",
        Must,
        tls,
        "Under AutoMTLS too, connections that are closed, silent or full of rubbish do no harm.",
        "Do each connection's TLS handshake in a task of its own, and give it a deadline.",
    ),
    check!(
        "many-connections",
        Should,
        many,
        "A plugin serves several connections at once: whoever attaches opens another.",
        "Go on accepting while connections are open.",
    ),
];

async fn closed(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    for _ in 0..5 {
        drop(dial(&served.answer.endpoint).await?);
    }
    served.still_serves("five connections that were closed at once").await?;
    Ok("five closed at once, and it goes on".to_owned())
}

async fn rubbish(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    let _held = speak_rubbish(&served).await?;
    served.still_serves("connections full of rubbish").await?;
    Ok("it goes on".to_owned())
}

async fn silent(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    let _held = stay_silent(&served).await?;
    served.still_serves("five connections on which nothing is said").await?;
    Ok("five silent connections, and it goes on".to_owned())
}

async fn tls(subject: &PluginUnderTest) -> Verdict {
    let Mutual { served, .. } = served_mutual(subject).await?;
    for _ in 0..5 {
        drop(dial(&served.answer.endpoint).await?);
    }
    let _rubbish = speak_rubbish(&served).await?;
    let _silent = stay_silent(&served).await?;
    served.still_serves("connections that came to nothing").await?;
    Ok("it goes on".to_owned())
}

async fn many(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    let channels = try_join_all((0..10).map(|_| served.channel())).await?;
    let answers = channels.iter().map(|channel| health(channel.clone(), "plugin"));
    let answers = futures_util::future::join_all(answers).await;
    match answers.iter().filter(|answer| answered(answer)).count() {
        10 => Ok("ten connections are served at once".to_owned()),
        some => fail(format!("{some} of ten connections are served")),
    }
}

async fn speak_rubbish(served: &Served) -> Verdict<Vec<Stream>> {
    let mut held = Vec::new();
    for words in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"SSH-2.0-nonsense\r\n", &[0xff; 4096]] {
        let mut stream = dial(&served.answer.endpoint).await?;
        // A plugin that has hung up already has understood.
        let _ = stream.write_all(words).await;
        held.push(stream);
    }
    Ok(held)
}

async fn stay_silent(served: &Served) -> Verdict<Vec<Stream>> {
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(dial(&served.answer.endpoint).await?);
    }
    Ok(held)
}
