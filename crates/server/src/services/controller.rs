//! The controller service, by which a host shuts its plugin down.

use rpcplugin_proto::{Empty, GrpcController};
use tonic::{Request, Response, Status};

use crate::shutdown::{Shutdown, ShutdownCause};

/// Begins the shutdown and responds at once, so that the response is sent before the connection closes.
///
/// # Protocol
/// go-plugin `grpc_controller.go`. Differs: there the handler waits for the server to stop and the server waits for the
/// handler, so the response is lost.
pub(crate) struct Controller(pub(crate) Shutdown);

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.0.begin(ShutdownCause::HostRequest);
        Ok(Response::new(Empty {}))
    }
}
