//! What happens with the broker's messages on a connection.

use std::{fmt::Debug, sync::Arc};

use futures_util::future::BoxFuture;

use super::{conn_info::ConnInfo, event::Side};

/// How the brokered connections of one connection are made.
pub(super) trait Broker: Debug + Send + Sync {
    /// Whether addresses in messages are replaced. Messages are held until they are complete then.
    fn replaces(&self) -> bool;

    /// Called before bytes of `from` are passed on.
    fn before_bytes(&self, from: Side) -> BoxFuture<'_, ()>;

    /// Takes a message that `from` sends. Returns the address to pass on in the place of its own, of the same length.
    fn takes<'b>(
        self: Arc<Self>,
        connection: &'b Arc<str>,
        from: Side,
        info: &'b ConnInfo,
    ) -> BoxFuture<'b, Option<String>>;
}
