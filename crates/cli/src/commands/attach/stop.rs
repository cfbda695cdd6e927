//! `rpcplugin attach PLUGIN stop`: ends a plugin that this program did not start.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use rpcplugin::{Endpoint, Exit, Plugin, transport::dial};
use tokio::time::{sleep, timeout};
use tonic::Code;

use crate::{error::ExitsWith, raw_host::shut_down, ui::duration::show};

/// The plugin goes on.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the plugin at {endpoint} goes on: {why}")]
#[diagnostic(code(rpcplugin::protocol::not_stopped))]
pub(crate) struct NotStopped {
    endpoint: Endpoint,
    why: String,
    #[help]
    help: String,
}

/// Ends the plugin, and says how it ended.
pub(super) async fn stop(plugin: Plugin) -> Result<String, NotStopped> {
    let endpoint = plugin.endpoint().clone();
    let pid = Some(plugin.pid()).filter(|pid| *pid != 0);
    let may_be_killed = !plugin.reattach_config().test;
    let answer = shut_down(plugin.channel()).await;
    let is_asked = !answer.is_err_and(|status| status.code() == Code::Unimplemented);
    let goes_on = match (may_be_killed, is_asked) {
        (true, _) => match plugin.shut_down().await {
            Exit::StillRunning | Exit::Detached if pid.is_some() => "it could not be killed".to_owned(),
            Exit::StillRunning | Exit::Detached => "it is not known which process it is".to_owned(),
            exit => return Ok(exit.to_string()),
        },
        (false, true) => match ends(&plugin, &endpoint).await {
            Some(end) => return Ok(end),
            None => format!("it has not ended within {}, and is not killed in test mode", show(GRACE)),
        },
        (false, false) => "it is not killed in test mode".to_owned(),
    };
    let why = match is_asked {
        true => goes_on,
        false => format!("it has no plugin.GRPCController, so it cannot be asked to end, and {goes_on}"),
    };
    let help = match pid {
        Some(pid) => format!("end its process by hand: kill {pid}"),
        None => format!("find the process that listens at {endpoint}, and end it by hand"),
    };
    Err(NotStopped { endpoint, why, help })
}

/// How a plugin ended that was asked to. In test mode it may be a part of a process that goes on.
async fn ends(plugin: &Plugin, endpoint: &Endpoint) -> Option<String> {
    let asked = Instant::now();
    while asked.elapsed() < GRACE {
        if plugin.ended().is_some() {
            return Some(Exit::Ended.to_string());
        }
        if let Ok(Err(error)) = timeout(GRACE, dial(endpoint)).await
            && matches!(error.source.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
        {
            return Some("does not serve any more".to_owned());
        }
        sleep(PAUSE).await;
    }
    None
}

/// How long a plugin in test mode may take to end.
const GRACE: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_millis(20);

impl ExitsWith for NotStopped {}
