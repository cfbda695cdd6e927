//! The greeter of the examples: the code generated from `proto/greeter`, and the simplest service that implements it.
//!
//! In your own project, `build.rs` generates the code: see `rpcplugin-build`.
#![allow(clippy::allow_attributes, dead_code, unused_imports, reason = "no example uses all of it")]

use tonic::{Request, Response, Status};

#[rustfmt::skip]
#[allow(clippy::all, missing_docs, unreachable_pub, unused_qualifications, reason = "generated code")]
#[path = "generated/greeter_v1.rs"]
pub(crate) mod v1;

#[rustfmt::skip]
#[allow(clippy::all, missing_docs, unreachable_pub, unused_qualifications, reason = "generated code")]
#[path = "generated/greeter_v2.rs"]
pub(crate) mod v2;

pub(crate) use v1::{
    GreetRequest, GreetResponse,
    greeter_client::GreeterClient,
    greeter_server::{Greeter, GreeterServer},
};

/// Greets in English.
#[derive(Debug, Clone)]
pub(crate) struct English;

#[tonic::async_trait]
impl Greeter for English {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        Ok(Response::new(GreetResponse { greeting: format!("Hello, {}!", request.get_ref().name) }))
    }
}

/// Makes a request to greet this person.
pub(crate) fn named(name: &str) -> GreetRequest {
    GreetRequest { name: name.to_owned() }
}
