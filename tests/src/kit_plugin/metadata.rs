//! The metadata that `Echo` returns.

use std::convert::Infallible;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use rpcplugin::transport::Route;
use tonic::body::Body;
use tower::ServiceExt as _;

/// Returns the caller's `x-kit-` metadata of `Echo` as headers and as trailers. Other calls pass unchanged.
///
/// This layer works on HTTP, because tonic cannot add trailers to a successful call.
pub(crate) async fn echo_metadata(
    route: Route,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    if request.uri().path() != "/conformance.v1.Kit/Echo" {
        return route.oneshot(request).await;
    }
    let echoed = kit_metadata(request.headers());
    let mut response = route.oneshot(request).await?;
    for (rest, value) in &echoed {
        append(response.headers_mut(), HEADER, rest, value);
    }
    Ok(response.map(|body| {
        Body::new(body.map_frame(move |mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                for (rest, value) in &echoed {
                    append(trailers, TRAILER, rest, value);
                }
            }
            frame
        }))
    }))
}

/// The entries under `x-kit-`, with keys without this prefix.
fn kit_metadata(headers: &HeaderMap) -> Vec<(String, HeaderValue)> {
    let entry = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().strip_prefix(HEADER)?.to_owned(), value.clone()))
    };
    headers.iter().filter_map(entry).collect()
}

fn append(to: &mut HeaderMap, prefix: &str, rest: &str, value: &HeaderValue) {
    // The rest of a valid name is a valid name.
    if let Ok(name) = HeaderName::try_from(format!("{prefix}{rest}")) {
        to.append(name, value.clone());
    }
}

const HEADER: &str = "x-kit-";
const TRAILER: &str = "x-kit-trailer-";
