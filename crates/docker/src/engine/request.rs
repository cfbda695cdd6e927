//! Requests to the engine, and their errors.

use std::{io, time::Duration};

use bollard::errors::Error;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::{
    address::Address,
    connection::{REQUEST_TIMEOUT, send},
};
use crate::error::DockerError;

/// A request whose answer is JSON. Neither the request nor the answer is logged: both may hold the variables of a container.
#[derive(Clone)]
pub(crate) struct Request {
    action: &'static str,
    method: Method,
    path: String,
    body: Vec<u8>,
    timeout: Duration,
}

/// A request that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The engine answered with this status.
    Status { action: &'static str, status: u16, message: String },
    /// Any other failure.
    Error(DockerError),
}

impl Request {
    pub(crate) fn get(action: &'static str, path: impl Into<String>) -> Self {
        Self { action, method: Method::GET, path: path.into(), body: Vec::new(), timeout: REQUEST_TIMEOUT }
    }

    pub(crate) fn post(action: &'static str, path: impl Into<String>, body: &impl Serialize) -> Self {
        // Only a map whose keys are no texts cannot be written.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { action, method: Method::POST, path: path.into(), body, timeout: REQUEST_TIMEOUT }
    }

    /// Limits the time of the request.
    pub(crate) fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sends the request.
    ///
    /// # Cancel safety
    /// May be dropped. The engine may execute the request all the same.
    pub(crate) async fn to<T: DeserializeOwned>(self, address: &Address) -> Result<T, Failure> {
        let (action, limit) = (self.action, self.timeout);
        let answer = timeout(limit, self.exchange(address)).await;
        let (status, body) = match answer {
            Ok(answer) => answer.map_err(|error| failure(address, action, error))?,
            Err(_) => return Err(Failure::Error(DockerError::Timeout { action, timeout: limit })),
        };
        if !(200..300).contains(&status) {
            return Err(Failure::Status { action, status, message: message(&body) });
        }
        serde_json::from_slice(&body)
            .map_err(|error| Failure::Error(DockerError::Broken { action, source: error.into() }))
    }

    async fn exchange(self, address: &Address) -> Result<(u16, Bytes), Error> {
        let request = hyper::Request::builder()
            .method(self.method)
            .uri(self.path)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(self.body)))?;
        let response = send(address, request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| Error::from(io::Error::other(error)))?;
        Ok((status, body.to_bytes()))
    }
}

impl Failure {
    /// Whether the engine answered that there is no such thing.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Status { status: 404, .. })
    }
}

impl From<Failure> for DockerError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Status { action, status, message } => Self::Refused { action, status, message },
            Failure::Error(error) => error,
        }
    }
}

/// Limits the time of a request that bollard makes.
pub(super) async fn bounded<T>(
    address: &Address,
    action: &'static str,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Failure> {
    match timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| failure(address, action, error)),
        Err(_) => Err(Failure::Error(DockerError::Timeout { action, timeout: REQUEST_TIMEOUT })),
    }
}

/// The failure that an error of bollard stands for.
pub(super) fn failure(address: &Address, action: &'static str, error: Error) -> Failure {
    let address = address.to_string();
    Failure::Error(match error {
        Error::DockerResponseServerError { status_code, message } => {
            return Failure::Status { action, status: status_code, message };
        }
        Error::RequestTimeoutError => DockerError::Timeout { action, timeout: REQUEST_TIMEOUT },
        Error::IOError { err } if err.kind() == io::ErrorKind::PermissionDenied => {
            DockerError::Denied { address, source: err }
        }
        Error::IOError { err } if is_about_connecting(err.kind()) => {
            DockerError::Unreachable { address, source: err }
        }
        error => DockerError::Broken { action, source: Box::new(error) },
    })
}

fn is_about_connecting(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::TimedOut
            | io::ErrorKind::Unsupported
            | io::ErrorKind::AddrNotAvailable
    )
}

/// The message in the body of a refusal, shortened.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    let text = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    text.trim().chars().take(LONGEST_MESSAGE).collect()
}

/// The longest answer that is read, in bytes. The list of a thousand containers is shorter.
const LONGEST_ANSWER: usize = 16 << 20;

/// The longest part of a message that an error shows, in characters.
const LONGEST_MESSAGE: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_from_json_or_from_plain_text() {
        assert_eq!(message(br#"{"message":"no such image","cause":"x"}"#), "no such image");
        assert_eq!(message(b"Internal Server Error\n"), "Internal Server Error");
        assert_eq!(message(&[b'x'; 5000]).len(), LONGEST_MESSAGE);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn an_engine_that_does_not_answer_is_given_up() {
        let dir = tempfile::tempdir_in("/tmp").expect("a directory");
        let socket = dir.path().join("engine.sock");
        let _silent = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        let request = Request::get("describe itself", "/info").timeout(Duration::from_millis(20));
        let failed = request.to::<serde_json::Value>(&Address::Unix(socket)).await;
        let Err(Failure::Error(error @ DockerError::Timeout { .. })) = failed else { panic!("{failed:?}") };
        assert!(error.to_string().contains("did not describe itself within 0.02 s"), "{error}");
    }
}
