//! `Debug` of messages that may have secrets.

use std::fmt;

use crate::generated::instances::CreateInstanceRequest;

impl fmt::Debug for CreateInstanceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateInstanceRequest")
            .field("id", &self.id)
            .field("configuration", &format_args!("{} bytes", self.configuration.len()))
            .field("content_type", &self.content_type)
            .finish()
    }
}
