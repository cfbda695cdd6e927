//! The negotiation of a version.

use rpcplugin::Versions;

use crate::{
    contract::VERSIONS,
    kit_host::check::{
        lifecycle::expect_launch_error,
        run::{Check, Run, own, shared},
        subject::Subject,
        verdict::{Verdict, same},
    },
};

pub(crate) const CHECKS: &[Check] = &[
    shared!("negotiated-version", negotiated_version),
    own!("version-newest-in-common", newest_in_common),
    own!("version-oldest-only", oldest_only),
    own!("version-none-in-common", none_in_common),
];

async fn negotiated_version(subject: &Subject) -> Verdict {
    let newest = VERSIONS.into_iter().max().unwrap_or_default();
    same("the host's version", subject.plugin.version().0, newest)?;
    same("the plugin's version", subject.info().await?.protocol_version, newest as i32)
}

async fn newest_in_common(run: &Run) -> Verdict {
    expect_version(run, &[1, 2, 4], 2).await
}

async fn oldest_only(run: &Run) -> Verdict {
    expect_version(run, &[1], 1).await
}

async fn expect_version(run: &Run, offered: &[u32], agreed: u32) -> Verdict {
    let mut launching = run.launching();
    launching.versions = Versions::new(offered.iter().copied())?;
    let subject = Subject::launch(&launching).await?;
    same("the host's version", subject.plugin.version().0, agreed)?;
    same("the plugin's version", subject.info().await?.protocol_version, agreed as i32)?;
    subject.plugin.shut_down().await;
    Ok(())
}

async fn none_in_common(run: &Run) -> Verdict {
    let mut launching = run.launching();
    launching.versions = Versions::from(4);
    // The plugin offers another version, which this host refuses, or exits by itself.
    expect_launch_error(
        &launching,
        &["rpcplugin::protocol::version_not_offered", "rpcplugin::handshake::exited_early"],
    )
    .await
}
