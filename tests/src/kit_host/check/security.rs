//! The clients that a plugin accepts and refuses.

use std::time::Duration;

use rpcplugin::{
    Endpoint, MagicCookie, Plugin,
    tls::{Identity, MutualTls},
    transport::{
        SecureStream, Security, dial,
        http2::{self, ChannelError, Connect},
    },
};
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::{
    contract::{cookie, in_one_line},
    kit_host::{
        check::{
            run::{Check, Run, own, shared},
            subject::{Subject, code},
            verdict::{Verdict, expect, fail, same, skip, where_possible},
        },
        launching::Launching,
        recorder::Recorder,
    },
    os::files::mode,
    pb::{InfoRequest, kit_client::KitClient},
};

pub(crate) const CHECKS: &[Check] = &[
    shared!("security", security),
    shared!("plain-text-clients-refused", plain_text_clients),
    shared!("unknown-clients-refused", unknown_clients),
    shared!("socket-is-private", socket_is_private),
    own!("wrong-cookie-refused", wrong_cookie),
    own!("no-cookie-explained", no_cookie),
];

async fn security(subject: &Subject) -> Verdict {
    let (Launching { auto_mtls, tls_dir, inherit, container, .. }, peer) =
        (&subject.launching, &subject.peer);
    let offered = *inherit && tls_dir.is_none() && container.is_none() && cfg!(target_os = "linux");
    let inherited = matches!(subject.plugin.endpoint(), Endpoint::Inherited(_));
    let (lane, line) = (subject.launching.lane, subject.plugin.handshake_line());
    let announced = line.is_some_and(|line| line.lane.is_some());
    same("lane", announced, lane && peer.is_ours() && container.is_none())?;
    same("inherited connection", inherited, offered && peer.is_ours())?;
    let wanted = (*auto_mtls || tls_dir.is_some()) && !inherited;
    same("mutual TLS", subject.plugin.security().is_mutual(), wanted)
}

async fn plain_text_clients(subject: &Subject) -> Verdict {
    mutual(subject)?;
    expect_refused(&subject.plugin, Security::Plain).await
}

async fn unknown_clients(subject: &Subject) -> Verdict {
    let tls = mutual(subject)?;
    if subject.launching.tls_dir.is_none() {
        subject.peer.beyond_pyvider("no verification of hosts under AutoMTLS")?;
    }
    // This client trusts the plugin, but the plugin does not trust it.
    let unknown = MutualTls::new(Identity::generate()?, tls.trust().clone())?;
    expect_refused(&subject.plugin, Security::Mutual(unknown)).await
}

/// The TLS settings of the connection. Skips the check without TLS, or without a listener for a second client.
fn mutual(subject: &Subject) -> Verdict<&MutualTls> {
    match subject.plugin.security() {
        _ if subject.launching.mux => skip("a multiplexing plugin listens for only one host"),
        Security::Mutual(tls) => Ok(tls),
        _ => skip("the connection is in plain text"),
    }
}

/// Checks that the plugin refuses the client, and still runs.
///
/// A TLS alert, a closed connection, or a status that means refusal is a refusal. Silence is not: a plugin that hangs is silent
/// too.
async fn expect_refused(plugin: &Plugin, security: Security) -> Verdict {
    let other = OtherClient { endpoint: plugin.endpoint().clone(), security };
    refused(other, REFUSAL_TIMEOUT).await?;
    plugin.ping().await?;
    Ok(())
}

async fn refused(other: OtherClient, within: Duration) -> Verdict {
    let settings = http2::Settings::default();
    let calling = async {
        match http2::connect(other, &settings).await {
            Ok(channel) => refused_by_status(KitClient::new(channel).info(InfoRequest {}).await),
            Err(ChannelError::Secure(_) | ChannelError::NotHttp2(_) | ChannelError::HangsUp) => Ok(()),
            Err(error) => fail(format!("not refused, but unreachable: {}", in_one_line(&error))),
        }
    };
    let silent = || fail(format!("neither served nor refused within {} s", within.as_secs_f32()));
    timeout(within, calling).await.unwrap_or_else(|_| silent())
}

fn refused_by_status<T>(answer: Result<T, Status>) -> Verdict {
    let Err(status) = answer else { return fail("the plugin served an unauthorized client") };
    // The status of a broken connection has a source.
    let broken = std::error::Error::source(&status).is_some() && status.code() != Code::DeadlineExceeded;
    let refusals = [Code::Unavailable, Code::PermissionDenied, Code::Unauthenticated];
    expect(broken || refusals.contains(&status.code()), format!("not refused, but answered: {status}"))
}

/// The longest that a plugin may take to refuse a client.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that is not the host of the plugin.
struct OtherClient {
    endpoint: Endpoint,
    security: Security,
}

impl Connect for OtherClient {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(self.security.client(dial(&self.endpoint).await?).await?)
    }
}

async fn socket_is_private(subject: &Subject) -> Verdict {
    subject.peer.beyond_pyvider("its socket in any directory")?;
    let Endpoint::Unix(path) = subject.plugin.endpoint() else {
        return skip("the plugin has no Unix socket to connect to");
    };
    let Some(dir) = path.as_path().parent() else { return fail("the socket is in no directory") };
    if subject.launching.mux && subject.peer.is_ours() {
        // The plugin removes the socket when its host has connected.
        return same("mode of the directory", where_possible(mode(dir))? & 0o077, 0);
    }
    let open_to_others = where_possible(mode(path.as_path()))? & where_possible(mode(dir))? & 0o077;
    same("permissions of others", open_to_others, 0)
}

async fn wrong_cookie(run: &Run) -> Verdict {
    expect_cookie_refused(run, MagicCookie::new(cookie().key(), "another value")?).await
}

/// The refusal of a start without a cookie.
async fn no_cookie(run: &Run) -> Verdict {
    expect_cookie_refused(run, MagicCookie::new("ANOTHER_COOKIE", "value")?).await
}

async fn expect_cookie_refused(run: &Run, cookie: MagicCookie) -> Verdict {
    let launching = run.launching();
    match launching.launch_by(launching.host_with(cookie, &Recorder::default())).await {
        Ok(_) => fail("the plugin serves a host with another cookie"),
        Err(error) => {
            same("code", &*code(&error), "rpcplugin::handshake::cookie_refused")?;
            expect(!error.facts().stderr.is_empty(), "the plugin does not print why it exits")
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::kit_host::check::verdict::Miss;

    /// The verdict on a listener that stays open and accepts no connection.
    async fn verdict_on(listener: &TcpListener, security: Security) -> Verdict {
        let endpoint = Endpoint::parse("tcp", &listener.local_addr()?.to_string())?;
        refused(OtherClient { endpoint, security }, Duration::from_millis(300)).await
    }

    fn mutual_tls() -> Security {
        let (own, peers) = (Identity::generate().expect("valid"), Identity::generate().expect("valid"));
        let trust = rpcplugin::tls::Trust::Pinned(peers.peer_certificate());
        Security::Mutual(MutualTls::new(own, trust).expect("valid"))
    }

    #[tokio::test]
    async fn silence_is_not_a_refusal() {
        for security in [Security::Plain, mutual_tls()] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
            let Err(Miss::Failed(why)) = verdict_on(&listener, security).await else {
                panic!("silence counts as a refusal")
            };
            assert!(why.contains("neither served nor refused"), "{why}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_is_a_refusal() {
        for security in [Security::Plain, mutual_tls()] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
            let endpoint = Endpoint::parse("tcp", &listener.local_addr().expect("bound").to_string());
            let closing = async move {
                loop {
                    drop(listener.accept().await);
                }
            };
            let other = OtherClient { endpoint: endpoint.expect("an address"), security };
            tokio::select! {
                verdict = refused(other, Duration::from_secs(30)) => assert!(verdict.is_ok(), "{verdict:?}"),
                () = closing => {}
            }
        }
    }

    #[test]
    fn only_a_refusing_status_is_a_refusal() {
        assert!(refused_by_status(Err::<(), _>(Status::permission_denied("no"))).is_ok());
        assert!(refused_by_status(Err::<(), _>(Status::unavailable("no"))).is_ok());
        for status in
            [Status::deadline_exceeded("late"), Status::unimplemented("what"), Status::cancelled("")]
        {
            assert!(refused_by_status(Err::<(), _>(status)).is_err());
        }
        assert!(refused_by_status(Ok(())).is_err());
    }
}
