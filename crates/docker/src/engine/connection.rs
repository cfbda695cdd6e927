//! HTTP to the engine: one stream for each request.
//!
//! bollard logs the bodies that it sends and receives, at the levels debug and trace. The requests whose bodies hold the
//! variables of a container are made in `request.rs` in place of bollard.

use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker, errors::Error};
use hyper::{
    Request, Response, Uri,
    body::{Body, Incoming},
    client::conn::http1,
    header::{HOST, HeaderMap, HeaderValue},
};
use hyper_util::rt::TokioIo;

use super::address::Address;

/// bollard over the streams of this module.
pub(super) fn docker(address: &Address) -> Docker {
    let target = address.clone();
    let transport = move |mut request: BollardRequest| {
        let address = target.clone();
        url_safe(request.headers_mut());
        async move { send(&address, request).await }
    };
    let seconds = REQUEST_TIMEOUT.as_secs();
    // The function only stores its arguments.
    Docker::connect_with_custom_transport(transport, Some("http://engine"), seconds, API_DEFAULT_VERSION)
        .expect("arguments that are stored")
}

/// Writes credentials in the alphabet of URLs, which the API asks for. bollard 0.21 uses the other one of Base64.
fn url_safe(headers: &mut HeaderMap) {
    let Some(value) = headers.get_mut(CREDENTIALS) else { return };
    let safe: Vec<u8> = value
        .as_bytes()
        .iter()
        .map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        })
        .collect();
    if let Ok(mut safe) = HeaderValue::from_bytes(&safe) {
        safe.set_sensitive(true);
        *value = safe;
    }
}

/// Sends a request on a stream of its own. The stream ends when the body of the response has been read or dropped.
pub(super) async fn send<B>(address: &Address, request: Request<B>) -> Result<Response<Incoming>, Error>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let stream = address.connect().await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let (mut parts, body) = request.into_parts();
    if let Some(target) = parts.uri.path_and_query() {
        parts.uri = Uri::from(target.clone());
    }
    parts.headers.insert(HOST, HeaderValue::from_static("engine"));
    Ok(sender.send_request(Request::from_parts(parts, body)).await?)
}

/// The longest that the engine may take for one request, apart from pulling an image.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

const CREDENTIALS: &str = "x-registry-auth";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_in_the_alphabet_of_urls() {
        let mut headers = HeaderMap::new();
        headers.insert(CREDENTIALS, HeaderValue::from_static("a+b/c="));
        url_safe(&mut headers);
        assert_eq!(headers[CREDENTIALS], "a-b_c=");
        assert!(headers[CREDENTIALS].is_sensitive());
    }
}
