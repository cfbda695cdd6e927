//! The service by which a host ends its plugin.

use rpcplugin_proto::{Empty, GrpcController};
use tonic::{Request, Response, Status};

use crate::ending::{Cause, Ending};

/// Begins the end and answers at once: the answer is sent before the connection closes.
///
/// # Protocol
/// go-plugin `grpc_controller.go`. Differs: there the handler waits for the server to stop, which waits for the
/// handler, so that the answer is lost.
pub(crate) struct Controller(pub(crate) Ending);

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.0.begin(Cause::Shutdown);
        Ok(Response::new(Empty {}))
    }
}
