//! Attaching to running plugins.

use std::process::Stdio;

use miette::Diagnostic as _;
use rpcplugin::{Endpoint, Plugin, handshake::ReattachConfig};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    kit_host::{
        check::{
            run::{Check, Run, own},
            subject::NOTICED,
            verdict::{Verdict, expect, fail, same, skip, where_possible},
        },
        recorder::Recorder,
        subs::OpenSub,
    },
    os,
    pb::{InfoRequest, OpenSubRequest, kit_client::KitClient},
};

pub(crate) const CHECKS: &[Check] = &[
    own!("reattach", reattach),
    own!("reattach-gone", reattach_gone),
    own!("test-mode", test_mode),
    own!("test-mode-second-host", test_mode_second_host),
];

/// A second host attaches and detaches, and the plugin stays with the first.
async fn reattach(run: &Run) -> Verdict {
    if run.launching().mux {
        return skip("a multiplexing plugin serves only one host");
    }
    if run.launching().auto_mtls && run.launching().tls_dir.is_none() {
        return skip("under AutoMTLS a plugin accepts only one host");
    }
    let subject = run.launch().await?;
    if matches!(subject.plugin.endpoint(), Endpoint::Inherited(_)) {
        let config = subject.plugin.reattach_config();
        let error = run.launching().host(&Recorder::default()).attach(config).await.err();
        let help = error.as_ref().and_then(|error| error.help()).map(|help| help.to_string());
        expect(
            help.is_some_and(|help| help.contains("PLUGIN_INHERIT_CONNECTION=false")),
            "the refusal does not name the setting",
        )?;
        return subject.stop_cleanly().await;
    }
    let attached = attach(run, subject.plugin.reattach_config()).await?;
    same("process", pid(&attached).await?, subject.info().await?.pid)?;
    drop(attached);
    subject.info().await?;
    subject.stop_cleanly().await
}

/// The plugin has exited.
async fn reattach_gone(run: &Run) -> Verdict {
    if run.launching().mux {
        return skip("a host that multiplexes cannot attach");
    }
    let subject = run.launch().await?;
    let config = subject.plugin.reattach_config();
    subject.plugin.shut_down().await;
    let attached = run.launching().host(&Recorder::default()).attach(config).await;
    expect(attached.is_err(), "the host attached to a plugin that has exited")
}

async fn test_mode(run: &Run) -> Verdict {
    let (mut child, config) = start_by_hand(run).await?;
    expect(config.test, "the configuration is not of test mode")?;
    let attached = attach(run, config).await?;
    let process = child.id().unwrap_or_default();
    same("process", pid(&attached).await?, i64::from(process))?;
    attached.ping().await?;
    expect_sub(&attached).await?;
    // To shut down a plugin in test mode only disconnects the host.
    attached.shut_down().await;
    expect(child.try_wait()?.is_none(), "the plugin exited with its host")?;
    end_by_hand(child).await
}

async fn test_mode_second_host(run: &Run) -> Verdict {
    let (child, config) = start_by_hand(run).await?;
    for _ in 0..2 {
        let attached = attach(run, config.clone()).await?;
        pid(&attached).await?;
        if !run.peer().is_go() {
            // The broker of go-plugin serves only its first host.
            expect_sub(&attached).await?;
        }
    }
    end_by_hand(child).await
}

/// Starts the plugin in test mode, and reads its reattach configuration.
async fn start_by_hand(run: &Run) -> Verdict<(Child, ReattachConfig)> {
    run.peer().beyond_pyvider("no test mode")?;
    if run.launching().mux {
        return skip("a host that multiplexes cannot attach");
    }
    if run.launching().container.is_some() {
        return skip("the program is in the image only");
    }
    let command = run.launching().command;
    let mut words = command.iter();
    let mut child = Command::new(words.next().map_or("", String::as_str))
        .args(words)
        .arg("--test-mode")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let Some(stdout) = child.stdout.take() else { return fail("no stdout") };
    let line = timeout(NOTICED, BufReader::new(stdout).lines().next_line()).await??;
    Ok((child, ReattachConfig::parse(&line.unwrap_or_default())?))
}

/// Ends a plugin in test mode, which removes its socket.
async fn end_by_hand(mut child: Child) -> Verdict {
    where_possible(os::terminate(child.id().unwrap_or_default()))?;
    let status = timeout(NOTICED, child.wait()).await??;
    expect(status.success(), format!("the plugin exited with {status}"))
}

async fn attach(run: &Run, config: ReattachConfig) -> Verdict<Plugin> {
    Ok(run.launching().host(&Recorder::default()).attach(config).await?)
}

async fn pid(attached: &Plugin) -> Verdict<i64> {
    Ok(KitClient::new(attached.channel()).info(InfoRequest {}).await?.into_inner().pid)
}

async fn expect_sub(attached: &Plugin) -> Verdict {
    let request = OpenSubRequest { label: "attached".to_owned() };
    let opened = KitClient::new(attached.channel()).open_sub(request).await?.into_inner();
    let mut sub = OpenSub::dial(attached.broker(), opened.broker_id).await?;
    same("greeting", &*sub.greet("you").await?, "hello you from attached")?;
    sub.close().await?;
    Ok(())
}
