//! A plugin under test.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use miette::Diagnostic;
use rpcplugin::{Exit, Plugin, PluginChannel};

use crate::{
    kit_host::{
        check::verdict::{Verdict, expect, fail, skip},
        eventually::eventually,
        launching::Launching,
        recorder::Recorder,
    },
    pb::{InfoRequest, InfoResponse, kit_client::KitClient},
};

/// A plugin that runs, and everything that it sent.
pub(crate) struct Subject {
    pub(crate) plugin: Plugin,
    pub(crate) recorder: Recorder,
    pub(crate) launching: Launching,
    pub(crate) peer: Peer,
}

/// What a plugin says of its implementation, which decides what it can do.
#[derive(Debug, Clone)]
pub(crate) struct Peer(String);

impl Subject {
    pub(crate) async fn launch(launching: &Launching) -> Verdict<Self> {
        let recorder = Recorder::default();
        let plugin = match launching.launch(&recorder).await {
            Ok(plugin) => plugin,
            Err(error) if code(&error) == NO_MUX => return skip("the plugin cannot multiplex"),
            Err(error) => return fail(format!("the plugin does not start: {error:?}")),
        };
        let mut kit = client(&plugin);
        let peer = Peer(kit.info(InfoRequest {}).await?.into_inner().implementation);
        Ok(Self { plugin, recorder, launching: launching.clone(), peer })
    }

    /// A client that accepts messages of any size.
    pub(crate) fn kit(&self) -> KitClient<PluginChannel> {
        client(&self.plugin)
    }

    pub(crate) async fn info(&self) -> Verdict<InfoResponse> {
        Ok(self.kit().info(InfoRequest {}).await?.into_inner())
    }

    /// Waits until the plugin counts more cancelled calls than before.
    pub(crate) async fn expect_cancelled(&self, before: i64) -> Verdict {
        let deadline = tokio::time::Instant::now() + NOTICED;
        loop {
            if self.info().await?.cancelled_calls > before {
                return Ok(());
            }
            let late = tokio::time::Instant::now() > deadline;
            expect(!late, "the plugin did not notice that its caller went away")?;
            tokio::time::sleep(crate::kit_host::eventually::LOOK_AGAIN).await;
        }
    }

    /// Waits until the process has ended.
    pub(crate) async fn expect_end(&self) -> Verdict<rpcplugin::host::ExitReason> {
        let ended = eventually(NOTICED, || self.plugin.ended().is_some()).await;
        expect(ended, "the plugin goes on")?;
        Ok(self.plugin.wait().await)
    }

    /// Stops the plugin, which has to end by itself, in time and with status 0.
    pub(crate) async fn stop_cleanly(self) -> Verdict {
        let begun = std::time::Instant::now();
        let exit = self.plugin.shut_down().await;
        expect(exit == Exit::Clean, format!("the plugin {exit}"))?;
        let took = begun.elapsed();
        expect(took < Duration::from_secs(1), format!("the stop took {} ms", took.as_millis()))
    }
}

impl Peer {
    pub(crate) const fn unknown() -> Self {
        Self(String::new())
    }

    /// go-plugin itself.
    pub(crate) fn is_go(&self) -> bool {
        self.0.contains("hashicorp/go-plugin")
    }

    /// A plugin of this very library.
    pub(crate) fn is_ours(&self) -> bool {
        self.0.starts_with("rust, rpcplugin")
    }

    pub(crate) fn is_pyvider(&self) -> bool {
        self.0.contains("pyvider")
    }

    /// Skips a check of something that plugins on pyvider.rpcplugin do not have.
    pub(crate) fn beyond_pyvider(&self, what: &str) -> Verdict {
        if self.is_pyvider() { skip(format!("a pyvider plugin has {what}")) } else { Ok(()) }
    }
}

/// The diagnostic code of an error.
pub(crate) fn code(error: &dyn Diagnostic) -> String {
    error.code().map(|code| code.to_string()).unwrap_or_default()
}

const NO_MUX: &str = "rpcplugin::protocol::no_multiplexing";

/// A name that no other call makes.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{prefix}-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}

fn client(plugin: &Plugin) -> KitClient<PluginChannel> {
    KitClient::new(plugin.channel()).max_decoding_message_size(usize::MAX)
}

/// Within this time each side notices what the other does.
pub(crate) const NOTICED: Duration = Duration::from_secs(10);
