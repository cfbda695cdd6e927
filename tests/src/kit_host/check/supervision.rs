//! Supervised plugins, and programs with a checksum.

use std::{fs, path::Path};

use rpcplugin::host::{Checksum, Event, SupervisionState};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use crate::{
    kit_host::{
        check::{
            lifecycle::expect_launch_error,
            run::{Check, Run, own},
            subject::{NOTICED, Subject},
            verdict::{Verdict, expect, fail, same, skip},
        },
        recorder::Recorder,
    },
    os,
    pb::{InfoRequest, kit_client::KitClient},
    support::wait::holds_within,
};

pub(crate) const CHECKS: &[Check] = &[
    own!("supervised-restarts", supervised_restarts),
    own!("supervised-gives-up", supervised_gives_up),
    own!("checksum-right", checksum_right),
    own!("checksum-wrong", checksum_wrong),
];

/// A client continues with the next process.
async fn supervised_restarts(run: &Run) -> Verdict {
    let recorder = Recorder::default();
    let supervised = run.launching().supervise(2, &recorder).await?;
    let mut kit = KitClient::new(supervised.channel());
    let first = kit.info(InfoRequest {}).await?.into_inner().pid;
    for number in 1..=2 {
        let Some(generation) = supervised.generation() else { return fail("the plugin is down") };
        let Some(pid) = generation.plugin().pid else {
            return fail("the plugin has no process");
        };
        os::kill(pid)?;
        let next = timeout(NOTICED, supervised.later_generation(number)).await?;
        expect(next.is_some(), format!("there is no generation after {number}"))?;
        expect(kit.info(InfoRequest {}).await?.into_inner().pid != first, "the process is the same")?;
    }
    supervised.shut_down().await;
    let events = &recorder.so_far().events;
    let count = |which: fn(&Event) -> bool| events.iter().filter(|event| which(event)).count();
    same("starts", count(|event| matches!(event, Event::Started { .. })), 3)?;
    same("restarts", count(|event| matches!(event, Event::Restarting { .. })), 2)?;
    same("ends", count(|event| matches!(event, Event::Exited { .. })), 3)
}

async fn supervised_gives_up(run: &Run) -> Verdict {
    let recorder = Recorder::default();
    let supervised = run.launching().supervise(0, &recorder).await?;
    let Some(pid) = supervised.generation().and_then(|generation| generation.plugin().pid) else {
        return fail("the plugin has no process");
    };
    os::kill(pid)?;
    let gave_up = || matches!(supervised.state(), SupervisionState::GaveUp { .. });
    expect(holds_within(NOTICED, gave_up).await, "the supervisor does not give up")?;
    let called = KitClient::new(supervised.channel()).info(InfoRequest {}).await;
    expect(called.is_err(), "the plugin answers after the supervisor gave up")?;
    let reported = recorder.so_far().events.iter().any(|event| matches!(event, Event::GaveUp { .. }));
    expect(reported, "no event reports that the supervisor gave up")
}

async fn checksum_right(run: &Run) -> Verdict {
    let mut launching = run.launching();
    let Some(program) =
        launching.command.first().filter(|program| Path::new(program).components().count() > 1)
    else {
        return skip("the program is looked up by name");
    };
    let digest = Sha256::digest(fs::read(program)?);
    launching.checksum = Some(Checksum::new::<Sha256>(digest.to_vec())?);
    Subject::launch(&launching).await?.stop_cleanly().await
}

async fn checksum_wrong(run: &Run) -> Verdict {
    let mut launching = run.launching();
    launching.checksum = Some(Checksum::sha256(&"0123456789abcdef".repeat(4))?);
    expect_launch_error(&launching, &["rpcplugin::security::checksum_mismatch"]).await
}
