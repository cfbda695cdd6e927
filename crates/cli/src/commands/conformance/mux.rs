//! Everything on one connection.

use std::time::Duration;

use rpcplugin::{handshake::Multiplexing, mtls::Identity};

use super::check::{
    Announced, Check, Mutual, Served, Verdict, announced, check, fail, in_one_line, mutual, skip,
    takes_offers, unoffered,
};
use crate::raw_host::{Multiplexed, PluginUnderTest, answered, health, multiplexed_channel, shut_down};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "mux",
        Must,
        plain,
        "Asked by PLUGIN_MULTIPLEX_GRPC=true, a plugin either prints no seventh field, or `true` and then speaks yamux on its \
         one connection, with gRPC on the streams.",
        "Print `true` only when the plugin multiplexes (go-plugin 1.6), and nothing otherwise.",
    ),
    check!(
        "mux-mtls",
        Must,
        secured,
        "Under AutoMTLS, TLS is inside each stream of the multiplexed connection.",
        "Wrap each stream in TLS, not the connection that carries them.",
    ),
    check!(
        "mux-shutdown",
        Must,
        shutdown,
        "A multiplexing plugin ends by itself with status 0 within two seconds of Shutdown.",
        "As for shutdown; close the session when the server has stopped.",
    ),
    check!(
        "mux-host-gone",
        Info,
        host_gone,
        "A multiplexing plugin made with go-plugin serves one host, and ends when that one hangs up.",
        "Nothing has to be done.",
    ),
];

async fn plain(subject: &PluginUnderTest) -> Verdict {
    let served = multiplexing(subject).await?;
    let connection = Multiplexed::open(&served.answer.endpoint).await?;
    calls(&connection, &served).await?;
    Ok("`true`, and it does".to_owned())
}

async fn secured(subject: &PluginUnderTest) -> Verdict {
    takes_offers(subject)?;
    let host = Identity::generate()?;
    let start = subject.start().multiplexed().certificate(host.certificate_pem());
    let announced = announced(start).await?;
    let mux = announced.answer.multiplexing;
    let Mutual { served, .. } = mutual(announced, host)?;
    says_yes(mux)?;
    let connection = Multiplexed::open(&served.answer.endpoint).await?;
    calls(&connection, &served).await?;
    Ok("TLS on a stream".to_owned())
}

async fn shutdown(subject: &PluginUnderTest) -> Verdict {
    let served = multiplexing(subject).await?;
    let connection = Multiplexed::open(&served.answer.endpoint).await?;
    let channel = multiplexed_channel(&connection, served.security.clone()).await?;
    let _ = health(channel.clone(), "plugin").await;
    let _ = shut_down(channel).await;
    match served.process.ended(super::check::GRACE).await {
        Some(reason) if reason.is_success() => Ok(reason.to_string()),
        Some(reason) => fail(format!("it ended with {reason}")),
        None => fail("it was still running after 2 s"),
    }
}

async fn host_gone(subject: &PluginUnderTest) -> Verdict {
    let served = multiplexing(subject).await?;
    let connection = Multiplexed::open(&served.answer.endpoint).await?;
    calls(&connection, &served).await?;
    drop(connection);
    Ok(match served.process.ended(Duration::from_secs(3)).await {
        Some(reason) => format!("it ends with {reason}"),
        None => "it goes on".to_owned(),
    })
}

/// Two calls, each on a stream of its own.
async fn calls(connection: &Multiplexed, served: &Served) -> Verdict<()> {
    let channel = multiplexed_channel(connection, served.security.clone()).await;
    let channel = match channel {
        Ok(channel) => channel,
        Err(error) => {
            let error = in_one_line(&error);
            return fail(format!("it says that it multiplexes, and no stream of yamux can be used: {error}"));
        }
    };
    for _ in 0..2 {
        let result = health(channel.clone(), "plugin").await;
        let arrived = answered(&result);
        if let (Err(status), false) = (result, arrived) {
            return fail(format!("it says that it multiplexes, and a call fails: {}", in_one_line(&status)));
        }
    }
    Ok(())
}

/// Starts a plugin that is asked to multiplex, without an offer of AutoMTLS.
async fn multiplexing(subject: &PluginUnderTest) -> Verdict<Served> {
    let Announced { process, answer, .. } = announced(subject.start().multiplexed()).await?;
    says_yes(answer.multiplexing)?;
    Ok(Served { process, answer, security: unoffered(subject)? })
}

fn says_yes(multiplexing: Multiplexing) -> Verdict<()> {
    match multiplexing {
        Multiplexing::Yes => Ok(()),
        Multiplexing::NotSaid => skip("the plugin prints no seventh field: it does not multiplex"),
        Multiplexing::No => skip("the plugin says that it does not multiplex"),
        _ => fail("the seventh field is neither true nor false"),
    }
}
