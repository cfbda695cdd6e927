//! Who is let in.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use rpcplugin::{
    Endpoint, MagicCookie, Plugin,
    mtls::{Identity, MutualTls},
    transport::{
        SecureStream, Security, dial,
        http2::{self, Connect, ConnectError},
    },
};
use tokio::time::timeout;

use crate::{
    facts::cookie,
    kit_host::{
        check::{
            run::{Check, Run, own, shared},
            subject::{Subject, code},
            verdict::{Verdict, expect, fail, same, skip},
        },
        recorder::Recorder,
    },
    pb::{InfoRequest, kit_client::KitClient},
};

pub(crate) const CHECKS: &[Check] = &[
    shared!("security", security),
    shared!("strangers-in-plain-text-refused", strangers_in_plain_text),
    shared!("strangers-with-certificate-refused", strangers_with_certificate),
    shared!("socket-is-private", socket_is_private),
    own!("wrong-cookie-refused", wrong_cookie),
    own!("no-cookie-explained", no_cookie),
];

async fn security(subject: &Subject) -> Verdict {
    let wanted = subject.launching.auto_mtls || subject.launching.tls_dir.is_some();
    same("mutual TLS", subject.plugin.security().is_mutual(), wanted)
}

async fn strangers_in_plain_text(subject: &Subject) -> Verdict {
    mutual(subject)?;
    expect_refused(&subject.plugin, Security::Plain).await
}

async fn strangers_with_certificate(subject: &Subject) -> Verdict {
    let tls = mutual(subject)?;
    if subject.launching.tls_dir.is_none() {
        subject.peer.beyond_pyvider("no verification of hosts under AutoMTLS")?;
    }
    // They know whom to trust, but nobody knows them.
    let stranger = MutualTls::new(Identity::generate()?, tls.trust().clone())?;
    expect_refused(&subject.plugin, Security::Mutual(stranger)).await
}

/// The settings of the connection, where there is a door to knock at and a lock in it.
fn mutual(subject: &Subject) -> Verdict<&MutualTls> {
    match subject.plugin.security() {
        _ if subject.launching.mux => skip("a multiplexing plugin listens for one host only"),
        Security::Mutual(tls) => Ok(tls),
        _ => skip("the connection is in plain text"),
    }
}

async fn expect_refused(plugin: &Plugin, security: Security) -> Verdict {
    let stranger = Stranger { endpoint: plugin.endpoint().clone(), security };
    let settings = http2::Settings::default();
    let calling = async {
        let channel = http2::connect(stranger, &settings).await.map_err(|_| ())?;
        KitClient::new(channel).info(InfoRequest {}).await.map_err(|_| ())
    };
    match timeout(Duration::from_secs(5), calling).await {
        Ok(Ok(_)) => fail("a stranger was served"),
        Ok(Err(())) | Err(_) => Ok(()),
    }
}

struct Stranger {
    endpoint: Endpoint,
    security: Security,
}

impl Connect for Stranger {
    async fn connect(&self) -> Result<SecureStream, ConnectError> {
        Ok(self.security.client(dial(&self.endpoint).await?).await?)
    }
}

async fn socket_is_private(subject: &Subject) -> Verdict {
    subject.peer.beyond_pyvider("its socket where it likes")?;
    let Endpoint::Unix(path) = subject.plugin.endpoint() else { return skip("the plugin listens on TCP") };
    let Some(dir) = path.as_path().parent() else { return fail("the socket is in no directory") };
    if subject.launching.mux && subject.peer.is_ours() {
        // Once its one host is connected, the socket is gone.
        return same("mode of the directory", mode(dir)? & 0o077, 0);
    }
    let open_to_others = mode(path.as_path())? & mode(dir)? & 0o077;
    same("what others may do", open_to_others, 0)
}

fn mode(path: &Path) -> Verdict<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode())
}

async fn wrong_cookie(run: &Run) -> Verdict {
    expect_cookie_refused(run, MagicCookie::new(cookie().key(), "another value")?).await
}

/// What the plugin says to someone who starts it by hand.
async fn no_cookie(run: &Run) -> Verdict {
    expect_cookie_refused(run, MagicCookie::new("ANOTHER_COOKIE", "value")?).await
}

async fn expect_cookie_refused(run: &Run, cookie: MagicCookie) -> Verdict {
    let launching = run.launching();
    match launching.launch_by(launching.host_with(cookie, &Recorder::default())).await {
        Ok(_) => fail("the plugin serves a host that does not know its cookie"),
        Err(error) => {
            same("code", &*code(&error), "rpcplugin::handshake::cookie_refused")?;
            expect(!error.facts().stderr.is_empty(), "the plugin does not say why it ends")
        }
    }
}
