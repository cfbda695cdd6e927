//! Saying of a failed call that the plugin's process is over, and how it ended.

use std::{pin::Pin, sync::Arc, time::Duration};

use prost::Message as _;
use rpcplugin_transport::http2::Explain;
use tokio::time::timeout;
use tonic::{Code, Status, codegen::Bytes, metadata::MetadataMap};

use crate::{exit::ExitReason, identity::PluginId, process::ProcessEnd};

/// A plugin's process has ended: the source of the status of calls that failed by it.
///
/// ```
/// use std::error::Error as _;
/// use rpcplugin_client::PluginEnded;
///
/// fn ended(status: &tonic::Status) -> Option<&PluginEnded> {
///     status.source()?.downcast_ref()
/// }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("the plugin {plugin} has ended: {reason}")]
#[non_exhaustive]
pub struct PluginEnded {
    /// Which plugin, and which process.
    pub plugin: PluginId,
    /// How it ended.
    pub reason: ExitReason,
    /// What the call itself came to know: mostly that the connection broke.
    #[source]
    pub status: Arc<Status>,
}

/// The end of a plugin's process, as calls upon its channel ask for it.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) plugin: PluginId,
    pub(crate) end: ProcessEnd,
}

impl Explain for Ending {
    fn explain(self: Arc<Self>, status: Status) -> Pin<Box<dyn Future<Output = Status> + Send>> {
        Box::pin(async move { explain(status, &self.plugin, self.end.clone().wait()).await })
    }
}

/// The status of a call whose connection broke: how the process ended if it is gone, or is seen to be gone soon.
pub(crate) async fn explain(
    status: Status,
    plugin: &PluginId,
    end: impl Future<Output = ExitReason>,
) -> Status {
    match timeout(LAST_WORDS, end).await {
        Ok(reason) => explained(status, plugin.clone(), reason),
        Err(_) => status,
    }
}

fn explained(status: Status, plugin: PluginId, reason: ExitReason) -> Status {
    let details = details(&plugin, reason);
    let ended = PluginEnded { plugin, reason, status: Arc::new(status) };
    let mut status = Status::with_details_and_metadata(CODE, ended.to_string(), details, MetadataMap::new());
    status.set_source(Arc::new(ended));
    status
}

/// The details in the form in which gRPC's libraries send them: `google.rpc.Status` with a `google.rpc.ErrorInfo`.
fn details(plugin: &PluginId, reason: ExitReason) -> Bytes {
    let mut facts = vec![("plugin", plugin.name.to_string()), ("generation", plugin.generation.to_string())];
    facts.extend(plugin.pid.map(|pid| ("pid", pid.to_string())));
    match reason {
        ExitReason::Status(status) => facts.push(("exit_status", status.to_string())),
        ExitReason::Signal(signal) => facts.push(("signal", signal.to_string())),
        ExitReason::Unknown => {}
    }
    let info = ErrorInfo {
        reason: "PLUGIN_ENDED".to_owned(),
        domain: "rpcplugin".to_owned(),
        metadata: facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    };
    let any = Any { type_url: ERROR_INFO.to_owned(), value: info.encode_to_vec() };
    let message = format!("the plugin {plugin} has ended: {reason}");
    RpcStatus { code: CODE as i32, message, details: vec![any] }.encode_to_vec().into()
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: std::collections::BTreeMap<String, String>,
}

const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// Another process may answer the next call.
const CODE: Code = Code::Unavailable;

/// How long a process whose connection broke is given to be seen dead. The connection of a dying process breaks first,
/// and a busy machine takes its time to tell the rest.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::{error::Error as _, future::ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn explains_only_when_the_process_is_over() {
        let plugin = PluginId { name: "kv".into(), pid: Some(7), generation: 1 };
        let status = explain(Status::unknown("broken pipe"), &plugin, ready(ExitReason::Signal(11))).await;
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().starts_with("the plugin kv (process 7) has ended: signal 11"), "{status:?}");
        let ended = status.source().and_then(|source| source.downcast_ref::<PluginEnded>()).unwrap();
        assert_eq!((ended.reason, ended.status.message()), (ExitReason::Signal(11), "broken pipe"));
        let details = RpcStatus::decode(status.details()).unwrap();
        let info = ErrorInfo::decode(&*details.details[0].value).unwrap();
        assert_eq!(info.metadata["signal"], "11");

        let alive = explain(Status::unknown("broken pipe"), &plugin, std::future::pending()).await;
        assert_eq!((alive.code(), alive.message()), (Code::Unknown, "broken pipe"));
    }
}
