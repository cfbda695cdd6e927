//! What an instance is made from.

use rpcplugin_core::{InstanceConfiguration, InstanceId};
use serde::de::DeserializeOwned;
use tonic::Status;

/// What an instance is made from: its id and its configuration. [`Debug`] does not show the configuration, which may have
/// secrets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InstanceSpec {
    /// The id.
    pub id: InstanceId,
    /// The configuration, as the host passed it.
    pub configuration: InstanceConfiguration,
}

impl InstanceSpec {
    /// Makes a spec, for tests of a function that makes instances.
    #[must_use]
    pub fn new(id: InstanceId, configuration: InstanceConfiguration) -> Self {
        Self { id, configuration }
    }

    /// Reads the configuration as JSON.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, which says where the configuration does not fit the type, and has no value of it.
    pub fn json<C: DeserializeOwned>(&self) -> Result<C, Status> {
        self.configuration.from_json().map_err(|error| Status::invalid_argument(error.to_string()))
    }
}
