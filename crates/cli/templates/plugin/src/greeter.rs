//! The service of the plugin.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use __snake___protocol::greeter_server::Greeter;
use __snake___protocol::{GreetAllRequest, GreetRequest, GreetResponse, Progress};

/// Greets in English.
pub struct English;

#[tonic::async_trait]
impl Greeter for English {
    async fn greet(
        &self,
        request: Request<GreetRequest>,
    ) -> Result<Response<GreetResponse>, Status> {
        let name = request.into_inner().name;
        let greeting = greeting(&name)?;
        // The host receives this event, and shows it in its own log.
        tracing::info!(guest = name, "greeted");
        Ok(Response::new(GreetResponse { greeting }))
    }

    type GreetAllStream = ReceiverStream<Result<Progress, Status>>;

    async fn greet_all(
        &self,
        request: Request<GreetAllRequest>,
    ) -> Result<Response<Self::GreetAllStream>, Status> {
        let names = request.into_inner().names;
        // A small channel: where the host reads slowly, `send` waits.
        let (progress, stream) = mpsc::channel(4);
        tokio::spawn(async move {
            let result = tokio::select! {
                result = greet_each(&names, &progress) => result,
                // The host has dropped its stream, or the deadline of the call has passed.
                () = progress.closed() => return tracing::warn!("the call is cancelled"),
            };
            match result {
                Ok(()) => tracing::info!("greeted all"),
                Err(status) => drop(progress.send(Err(status)).await),
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

async fn greet_each(
    names: &[String],
    progress: &mpsc::Sender<Result<Progress, Status>>,
) -> Result<(), Status> {
    let total = names.len() as u32;
    for (done, name) in (1..).zip(names) {
        // Stands for work. Code that blocks or computes belongs into `tokio::task::spawn_blocking`.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let greeting = greeting(name)?;
        let message = Progress {
            done,
            total,
            greeting,
        };
        let _ = progress.send(Ok(message)).await;
    }
    Ok(())
}

fn greeting(name: &str) -> Result<String, Status> {
    if name.is_empty() {
        return Err(Status::invalid_argument("the name is empty"));
    }
    Ok(format!("Hello, {name}!"))
}

/// Tests of the service alone, without a host.
#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt;
    use tonic::Code;

    use super::*;

    async fn greet(name: &str) -> Result<String, Status> {
        let name = name.to_owned();
        let request = GreetRequest { name };
        let answer = English.greet(Request::new(request)).await?;
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

    #[tokio::test]
    async fn reports_each_greeting() {
        let names = vec!["Ada".to_owned(), "Grace".to_owned()];
        let request = Request::new(GreetAllRequest { names });
        let stream = English.greet_all(request).await.unwrap().into_inner();
        let messages: Vec<_> = stream.map(Result::unwrap).collect().await;
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[1].done, messages[1].total), (2, 2));
        assert_eq!(messages[1].greeting, "Hello, Grace!");
    }
}
