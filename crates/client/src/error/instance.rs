//! The errors of requests about instances.

use std::time::Duration;

use miette::Diagnostic;
use rpcplugin_core::{InstanceId, InstanceIdError};
use tonic::{Code, Status};

/// A request about the instances of a plugin failed. No case has the configuration of an instance.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum InstanceError {
    /// The id is not valid. The plugin has not been asked.
    #[error(transparent)]
    #[diagnostic(transparent)]
    InvalidId(#[from] InstanceIdError),
    /// The plugin does not serve the service for instances.
    #[error("the plugin has no instances")]
    #[diagnostic(
        code(rpcplugin::instance::unsupported),
        help("call `Serve::instances` in the plugin, or launch a plugin for each instance")
    )]
    Unsupported(#[source] Status),
    /// The plugin has an instance of this id, or is still removing one.
    #[error("the plugin has an instance {id} already")]
    #[diagnostic(
        code(rpcplugin::instance::exists),
        help("use another id, or call the existing instance with `Plugin::instance`")
    )]
    Exists {
        /// The id.
        id: InstanceId,
        /// The status of the plugin.
        source: Status,
    },
    /// The plugin has no instance of this id.
    #[error("the plugin has no instance {id}")]
    #[diagnostic(
        code(rpcplugin::instance::unknown),
        help("create it with `Plugin::create_instance`: a plugin that was started again has no instances")
    )]
    Unknown {
        /// The id.
        id: InstanceId,
        /// The status of the plugin.
        source: Status,
    },
    /// A limit of the plugin or of the host does not allow the instance: the number of instances, or the size of a message.
    #[error("a limit does not allow the instance {id}")]
    #[diagnostic(
        code(rpcplugin::instance::limit),
        help(
            "remove instances, raise `Instances::limit` in the plugin, or pass a smaller configuration: \
             PLUGIN_GRPC_MAX_RECEIVE_MESSAGE_SIZE in the plugin limits it, to 4 MiB by default"
        )
    )]
    Limit {
        /// The id.
        id: InstanceId,
        /// The status of the plugin.
        source: Status,
    },
    /// The plugin could not make the instance, for example because its configuration is not valid.
    #[error("the plugin refused the instance {id}")]
    #[diagnostic(
        code(rpcplugin::instance::refused),
        help("see the cause: the status of the function that makes the plugin's instances")
    )]
    Refused {
        /// The id.
        id: InstanceId,
        /// The status of the plugin.
        source: Status,
    },
    /// The plugin did not answer in time.
    #[error("the plugin did not answer the request about its instances within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::instance::timeout),
        help(
            "raise `launch_timeout` if the plugin needs longer to make an instance; otherwise restart the plugin"
        )
    )]
    Timeout(Duration),
    /// The plugin could not be asked: its process has exited, or the connection broke.
    #[error("the plugin could not be asked about its instances")]
    #[diagnostic(
        code(rpcplugin::instance::unreachable),
        help("launch the plugin again, and create its instances again")
    )]
    Unreachable(#[source] Status),
}

/// What a request was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstanceRequest<'a> {
    Create(&'a InstanceId),
    Remove(&'a InstanceId),
    List,
}

impl InstanceError {
    /// The error for the status of a request. `elapsed` is how long the request took, of the `limit` that it had.
    pub(crate) fn of(
        request: InstanceRequest<'_>,
        source: Status,
        elapsed: Duration,
        limit: Duration,
    ) -> Self {
        match (request, source.code()) {
            (_, Code::Unimplemented) => Self::Unsupported(source),
            (_, Code::DeadlineExceeded) if elapsed.saturating_add(ROUNDING) >= limit => Self::Timeout(limit),
            (_, Code::Unavailable | Code::Cancelled) | (InstanceRequest::List, _) => {
                Self::Unreachable(source)
            }
            (InstanceRequest::Create(id), Code::AlreadyExists) => Self::Exists { id: id.clone(), source },
            (InstanceRequest::Create(id), Code::ResourceExhausted) => Self::Limit { id: id.clone(), source },
            (InstanceRequest::Remove(id), Code::NotFound) => Self::Unknown { id: id.clone(), source },
            (InstanceRequest::Create(id) | InstanceRequest::Remove(id), _) => {
                Self::Refused { id: id.clone(), source }
            }
        }
    }

    /// Whether the plugin has answered for this instance alone, so that other instances may succeed.
    pub(crate) fn is_of_one_instance(&self) -> bool {
        matches!(self, Self::Exists { .. } | Self::Unknown { .. } | Self::Limit { .. } | Self::Refused { .. })
    }
}

/// How much earlier than its limit a call may end, because the limit is rounded on the wire.
const ROUNDING: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_error() {
        let id = InstanceId::new("a").expect("valid");
        let (create, remove) = (InstanceRequest::Create(&id), InstanceRequest::Remove(&id));
        for (request, status, code) in [
            (create, Code::Unimplemented, "unsupported"),
            (create, Code::AlreadyExists, "exists"),
            (create, Code::ResourceExhausted, "limit"),
            (create, Code::InvalidArgument, "refused"),
            (create, Code::NotFound, "refused"),
            (create, Code::Internal, "refused"),
            (create, Code::DeadlineExceeded, "refused"),
            (create, Code::Unavailable, "unreachable"),
            (remove, Code::NotFound, "unknown"),
            (remove, Code::AlreadyExists, "refused"),
            (InstanceRequest::List, Code::Unimplemented, "unsupported"),
            (InstanceRequest::List, Code::Internal, "unreachable"),
        ] {
            let (elapsed, limit) = (Duration::ZERO, Duration::from_secs(1));
            let error = InstanceError::of(request, Status::new(status, "x"), elapsed, limit);
            let found = error.code().expect("a code").to_string();
            assert_eq!(found, format!("rpcplugin::instance::{code}"), "{request:?}: {status:?}");
            assert!(error.help().is_some());
        }
        let late = Status::deadline_exceeded("late");
        let error = InstanceError::of(create, late, Duration::from_secs(2), Duration::from_secs(2));
        assert_eq!(error.to_string(), "the plugin did not answer the request about its instances within 2 s");
    }
}
