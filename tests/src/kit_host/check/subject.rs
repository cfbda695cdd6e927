//! A plugin under test.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use miette::Diagnostic;
use rpcplugin::{Exit, Plugin, PluginChannel, host::Pid};

use crate::{
    kit_host::{
        check::verdict::{Verdict, expect, fail, skip},
        launching::Launching,
        recorder::Recorder,
    },
    pb::{InfoRequest, InfoResponse, kit_client::KitClient},
    support::wait::{POLL_INTERVAL, holds_within},
};

/// A running plugin, and its output, log and events.
pub(crate) struct Subject {
    pub(crate) plugin: Plugin,
    pub(crate) recorder: Recorder,
    pub(crate) launching: Launching,
    pub(crate) peer: Peer,
}

/// The implementation that a plugin reports. It decides which checks apply.
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

    /// The process of the plugin.
    pub(crate) fn pid(&self) -> Verdict<Pid> {
        match self.plugin.pid() {
            Some(pid) => Ok(pid),
            None if self.launching.container.is_some() => skip("the process is in a container"),
            None => fail("the plugin has no process"),
        }
    }

    /// A client without a limit of message sizes.
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
            expect(!late, "the plugin did not notice the cancelled call")?;
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the process has exited.
    pub(crate) async fn expect_end(&self) -> Verdict<rpcplugin::host::ExitReason> {
        let ended = holds_within(NOTICED, || self.plugin.ended().is_some()).await;
        expect(ended, "the plugin still runs")?;
        Ok(self.plugin.wait().await)
    }

    /// Shuts the plugin down. It must exit by itself within a second, with status 0.
    pub(crate) async fn stop_cleanly(self) -> Verdict {
        let begun = std::time::Instant::now();
        let exit = self.plugin.shut_down().await;
        expect(exit == Exit::Clean, format!("the plugin {exit}"))?;
        let took = begun.elapsed();
        expect(took < Duration::from_secs(1), format!("the shutdown took {} ms", took.as_millis()))
    }
}

impl Peer {
    pub(crate) const fn unknown() -> Self {
        Self(String::new())
    }

    /// Whether the plugin is built on go-plugin.
    pub(crate) fn is_go(&self) -> bool {
        self.0.contains("hashicorp/go-plugin")
    }

    /// Whether the plugin is built on this library.
    pub(crate) fn is_ours(&self) -> bool {
        self.0.starts_with("rust, rpcplugin")
    }

    pub(crate) fn is_pyvider(&self) -> bool {
        self.0.contains("pyvider")
    }

    /// Skips a check of a feature that plugins built on pyvider.rpcplugin do not have.
    pub(crate) fn beyond_pyvider(&self, what: &str) -> Verdict {
        if self.is_pyvider() { skip(format!("a pyvider plugin has {what}")) } else { Ok(()) }
    }
}

/// The diagnostic code of an error.
pub(crate) fn code(error: &dyn Diagnostic) -> String {
    error.code().map(|code| code.to_string()).unwrap_or_default()
}

const NO_MUX: &str = "rpcplugin::protocol::no_multiplexing";

/// A name that is unique in this process.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{prefix}-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}

fn client(plugin: &Plugin) -> KitClient<PluginChannel> {
    KitClient::new(plugin.channel()).max_decoding_message_size(usize::MAX)
}

/// The longest that each side may take to notice an action of the other.
pub(crate) const NOTICED: Duration = Duration::from_secs(10);
