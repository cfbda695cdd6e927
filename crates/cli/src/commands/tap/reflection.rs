//! The types of a plugin, from its reflection.

use std::{sync::Arc, time::Duration};

use rpcplugin::{
    Endpoint,
    transport::{
        SecureStream, Security, Stream, dial,
        http2::{self, ChannelError, Connect},
        yamux,
    },
};
use tokio::time::timeout;

use super::{
    context::Context,
    event::{Kind, Side},
    schema::Described,
};
use crate::schema::{GivenFiles, Schema};

/// Where a connection to the plugin comes from.
pub(super) enum Source {
    Endpoint(Endpoint),
    /// A stream of a multiplexed connection.
    Session(yamux::Session),
}

/// Asks the plugin for its types, and hands them to the output. Returns when they are there, or after a time.
pub(super) async fn describe(context: &Context, source: Source, given: Option<Arc<GivenFiles>>) {
    let connect = To { source, security: context.security.plugin.clone() };
    let described = timeout(REFLECTION_TIMEOUT, async {
        let mut settings = http2::Settings::default();
        settings.handshake_timeout = REFLECTION_TIMEOUT;
        let channel = http2::connect(connect, &settings).await.ok()?;
        Some(Schema::of(given.as_deref(), &channel).await)
    });
    let schema = match (described.await, &given) {
        (Ok(Some(schema)), _) => schema,
        (_, Some(given)) => Schema::of_files(given),
        (_, None) => return,
    };
    context.log.send(None, Side::Plugin, Kind::Schema(Box::new(Described::new(schema)))).await;
}

struct To {
    source: Source,
    security: Security,
}

impl Connect for To {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let stream = match &self.source {
            Source::Endpoint(endpoint) => dial(endpoint).await?,
            Source::Session(session) => {
                let opened = session.open().await;
                let stream = opened.map_err(|error| ChannelError::Other {
                    what: "no stream can be opened",
                    source: error.into(),
                })?;
                Stream::other(stream)
            }
        };
        Ok(self.security.client(stream).await?)
    }
}

/// The longest wait for the types, before the first call passes. Messages are shown without content after it.
const REFLECTION_TIMEOUT: Duration = Duration::from_secs(2);
