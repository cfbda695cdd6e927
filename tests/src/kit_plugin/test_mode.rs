//! The plugin in test mode.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use rpcplugin::{Serve, ServeError, error::PlainReport};
use tokio_util::sync::CancellationToken;

use crate::os::Termination;

/// Prints the reattach configuration on stdout, and serves until a host, a signal or the shutdown file ends the plugin.
pub(crate) fn main(serve: Serve) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(run(serve)),
        Err(error) => Err(Box::new(ServeError::Process(error))),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", PlainReport(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(serve: Serve) -> Result<(), Box<ServeError>> {
    let mut termination = Termination::new().map_err(ServeError::Process)?;
    let end = CancellationToken::new();
    let plugin = serve.shutdown_token(end.clone()).attachable().await?.tee_output();
    writeln!(io::stdout(), "{}", plugin.config()).map_err(ServeError::Announce)?;
    tokio::spawn(async move {
        termination.requested().await;
        end.cancel();
    });
    plugin.serve().await?;
    Ok(())
}
