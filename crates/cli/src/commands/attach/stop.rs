//! `rpcplugin attach PLUGIN stop`: shuts a plugin down that this program did not launch.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use rpcplugin::{Endpoint, Exit, Plugin, transport::dial};
use tokio::time::{sleep, timeout};
use tonic::Code;

use crate::{error::ExitsWith, os::HOW_TO_KILL, raw_host::shut_down, ui::duration::show};

/// The plugin keeps running.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the plugin at {endpoint} keeps running: {why}")]
#[diagnostic(code(rpcplugin::protocol::not_stopped))]
pub(crate) struct NotStopped {
    endpoint: Endpoint,
    why: String,
    #[help]
    help: String,
}

impl ExitsWith for NotStopped {}

/// Shuts the plugin down. Returns a description of its end.
pub(super) async fn stop(plugin: Plugin) -> Result<String, NotStopped> {
    let endpoint = plugin.endpoint().clone();
    let pid = plugin.pid();
    let may_be_killed = !plugin.reattach_config().test;
    let response = shut_down(plugin.channel()).await;
    let has_controller = !response.is_err_and(|status| status.code() == Code::Unimplemented);
    let reason = match (may_be_killed, has_controller) {
        (true, _) => match plugin.shut_down().await {
            Exit::StillRunning | Exit::Detached if pid.is_some() => "it could not be killed".to_owned(),
            Exit::StillRunning | Exit::Detached => "its pid is unknown".to_owned(),
            exit => return Ok(exit.to_string()),
        },
        (false, true) => match wait_for_end(&plugin, &endpoint).await {
            Some(end) => return Ok(end),
            None => format!("it did not exit within {}, and is not killed in test mode", show(GRACE)),
        },
        (false, false) => "it is not killed in test mode".to_owned(),
    };
    let why = match has_controller {
        true => reason,
        false => format!("it does not implement plugin.GRPCController, and {reason}"),
    };
    let help = match pid {
        Some(pid) => format!("kill the process: {HOW_TO_KILL} {pid}"),
        None => format!("find the process that listens at {endpoint}, and kill it"),
    };
    Err(NotStopped { endpoint, why, help })
}

/// Waits for the end of a plugin after Shutdown. In test mode its process may keep running without the server.
async fn wait_for_end(plugin: &Plugin, endpoint: &Endpoint) -> Option<String> {
    let begun = Instant::now();
    while begun.elapsed() < GRACE {
        if plugin.ended().is_some() {
            return Some(Exit::Ended.to_string());
        }
        if let Ok(Err(error)) = timeout(GRACE, dial(endpoint)).await
            && matches!(error.source.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
        {
            return Some("no longer serves".to_owned());
        }
        sleep(PAUSE).await;
    }
    None
}

/// The limit for the end of a plugin in test mode.
const GRACE: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_millis(20);
