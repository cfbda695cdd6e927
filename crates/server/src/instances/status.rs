//! The statuses of calls about instances.

use tonic::{Code, Status};

/// No instance has this id.
pub(super) fn unknown(id: &str) -> Status {
    Status::not_found(format!("the plugin has no instance {id}"))
}

/// An instance of this id exists, or is being made or removed.
pub(super) fn exists(id: &str) -> Status {
    Status::already_exists(format!("the plugin has an instance {id} already"))
}

/// There are as many instances as there may be.
pub(super) fn too_many(limit: usize) -> Status {
    Status::resource_exhausted(format!("the plugin has its greatest number of instances, {limit}"))
}

/// The plugin makes no further instance.
pub(super) fn shutting_down() -> Status {
    Status::unavailable("the plugin is shutting down, and makes no instance")
}

/// The status of a failed creation, as a host gets it. Codes with which the registry itself responds are replaced.
pub(super) fn of_creation(mut status: Status) -> Status {
    let code = match status.code() {
        Code::Ok => Code::Internal,
        Code::Unimplemented | Code::AlreadyExists | Code::NotFound | Code::ResourceExhausted => {
            Code::FailedPrecondition
        }
        code => code,
    };
    if code == status.code() {
        return status;
    }
    let metadata = std::mem::take(status.metadata_mut());
    let details = bytes::Bytes::copy_from_slice(status.details());
    Status::with_details_and_metadata(code, status.message(), details, metadata)
}
