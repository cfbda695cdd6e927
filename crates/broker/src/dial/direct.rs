//! Direct mode: dialling the address that the peer has announced.

use std::io;

use rpcplugin_core::{Endpoint, ServiceId};
use rpcplugin_transport::{SecureStream, http2::ChannelError};
use tokio::time::{Instant, timeout};

use crate::{
    error::DialError,
    router::Claimed,
    shared::{Shared, State, WaitError, deadline, now},
};

/// Waits for the address of `id`, and connects to it.
pub(super) async fn open(shared: &Shared, id: ServiceId) -> Result<(SecureStream, Endpoint), DialError> {
    let deadline = deadline(shared.settings.peer_timeout);
    let mut dead = None;
    loop {
        let claimed = match address(shared, id, deadline).await {
            Ok(claimed) => claimed,
            // The error of a failed connect says more than the timeout that followed it.
            Err(error) => return Err(dead.unwrap_or(error)),
        };
        let announced = claimed.endpoint.map_err(|source| DialError::InvalidAddress { id, source })?;
        let endpoint = match &shared.settings.translate {
            Some(translate) => {
                translate.dial_as(&announced).map_err(|source| DialError::Translate { id, source })?
            }
            None => announced.clone(),
        };
        match connect(shared, &endpoint).await {
            Ok(stream) => return Ok((stream, endpoint)),
            Err(error) if has_no_listener(&error) => {
                shared.change(|state| state.router.forget(id, &announced));
                if !claimed.dialled_before {
                    return Err(error.into());
                }
                // The service has stopped since the last dial. The peer may serve the id again.
                dead = Some(error.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens a secured stream to an address.
pub(super) async fn connect(shared: &Shared, endpoint: &Endpoint) -> Result<SecureStream, ChannelError> {
    let handshake_timeout = shared.settings.http2.handshake_timeout;
    let opening = async {
        let stream = shared.settings.dialer.dial(endpoint).await?;
        Ok(shared.settings.security.client(stream).await?)
    };
    timeout(handshake_timeout, opening).await.unwrap_or(Err(ChannelError::Timeout(handshake_timeout)))
}

/// Waits until the peer has announced the address of `id`.
async fn address(shared: &Shared, id: ServiceId, deadline: Instant) -> Result<Claimed, DialError> {
    let waited = shared.settings.peer_timeout;
    let mut was_up = false;
    let announced = |state: &mut State| match state.router.claim(id, now()) {
        Some(claimed) => Some(Ok(claimed)),
        None if state.router.is_refused(id) => Some(Err(DialError::NoHostServices)),
        None => state.unreachable(&mut was_up).map(|why| Err(why.into())),
    };
    match shared.until_deadline(deadline, announced).await {
        Ok(result) => result,
        Err(WaitError::TimedOut) if was_up => Err(DialError::NoAddress { id, waited }),
        Err(error) => Err(error.unreachable(waited).into()),
    }
}

/// Whether nothing listens at the address that was dialled.
fn has_no_listener(error: &ChannelError) -> bool {
    let ChannelError::Connect(error) = error else { return false };
    matches!(error.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}
