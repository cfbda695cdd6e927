//! The service of the plugin.

use tonic::{Request, Response, Status};

use __snake___protocol::{GreetRequest, GreetResponse, greeter_server::Greeter};

/// Greets in English.
pub struct English;

#[tonic::async_trait]
impl Greeter for English {
    async fn greet(
        &self,
        request: Request<GreetRequest>,
    ) -> Result<Response<GreetResponse>, Status> {
        let name = &request.get_ref().name;
        if name.is_empty() {
            return Err(Status::invalid_argument("the name is empty"));
        }
        let greeting = format!("Hello, {name}!");
        Ok(Response::new(GreetResponse { greeting }))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    async fn greet(name: &str) -> Result<String, Status> {
        let name = name.to_owned();
        let answer = English.greet(Request::new(GreetRequest { name })).await?;
        Ok(answer.into_inner().greeting)
    }

    #[tokio::test]
    async fn greets_by_name() {
        assert_eq!(greet("Ada").await.unwrap(), "Hello, Ada!");
    }

    #[tokio::test]
    async fn an_empty_name_is_an_error() {
        assert_eq!(greet("").await.unwrap_err().code(), Code::InvalidArgument);
    }
}
