//! The answer of a plugin to a recorded call, and how it differs from the recorded one.

use std::{str::FromStr as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::uri::PathAndQuery;
use rpcplugin::Plugin;
use tokio::time::timeout;
use tokio_stream::iter;
use tonic::{Code, Request, Status};

use super::{
    super::tap::{Described, is_public},
    recording::RecordedCall,
};
use crate::calls::{self, BytesCodec};

/// What a plugin answers.
#[derive(Debug, Default)]
pub(super) struct Answer {
    responses: Vec<Vec<u8>>,
    code: i32,
    message: String,
}

impl Answer {
    /// Makes a recorded call again.
    pub(super) async fn to(call: &RecordedCall, plugin: &Plugin) -> Self {
        let mut answer = Self::default();
        let made = timeout(CALL_TIMEOUT, exchange(call, plugin, &mut answer.responses)).await;
        let status = match made {
            Ok(Ok(())) => Status::ok(""),
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded(format!("no answer within {} s", CALL_TIMEOUT.as_secs())),
        };
        (answer.code, answer.message) = (status.code() as i32, status.message().to_owned());
        answer
    }

    /// Returns how this answer differs from the recorded one. Texts and bytes of messages are shown with `values`.
    pub(super) fn differences(&self, call: &RecordedCall, types: &Described, values: bool) -> Vec<String> {
        let mut all = Vec::new();
        let path = format!("/{}", call.method);
        for (n, (then, now)) in call.responses.iter().zip(&self.responses).enumerate() {
            let json = |bytes: &[u8], values| types.json(&path, false, bytes, values);
            // Encoders may order the entries of maps as they like.
            let is_same = then == now || json(then, true).is_some_and(|then| Some(then) == json(now, true));
            if !is_same {
                let shown = |bytes: &[u8]| match json(bytes, values) {
                    Some(json) => json.to_string(),
                    None if values => STANDARD.encode(bytes),
                    None => format!("{} bytes", bytes.len()),
                };
                let (n, then, now) = (n + 1, shown(then), shown(now));
                all.push(format!("response {n} was {then} and is {now}"));
            }
        }
        let (then, now) = (call.responses.len(), self.responses.len());
        if then != now {
            all.push(format!("there were {then} responses, and now there are {now}"));
        }
        if let Some((code, message)) = &call.status
            && (*code, message) != (self.code, &self.message)
        {
            let shown = |code: i32, message: &str| format!("{:?} ({message:?})", Code::from_i32(code));
            let (then, now) = (shown(*code, message), shown(self.code, &self.message));
            all.push(format!("the status was {then} and is {now}"));
        }
        all
    }
}

async fn exchange(call: &RecordedCall, plugin: &Plugin, responses: &mut Vec<Vec<u8>>) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(plugin.channel())
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let mut request = Request::new(iter(call.requests.clone()));
    let entries = call.metadata.iter().filter(|(name, _)| !is_public(name) && !name.starts_with("grpc-"));
    // What this library cannot send is left out.
    let entries: Vec<_> =
        entries.filter_map(|(name, value)| calls::parse(&format!("{name}: {value}")).ok()).collect();
    calls::add(&entries, request.metadata_mut());
    let path = PathAndQuery::from_str(&format!("/{}", call.method))
        .map_err(|error| Status::internal(format!("the method is not a path: {error}")))?;
    let mut stream = client.streaming(request, path, BytesCodec).await?.into_inner();
    while let Some(message) = stream.message().await? {
        responses.push(message.to_vec());
    }
    Ok(())
}

/// The longest call.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
