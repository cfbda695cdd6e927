//! Programs that are no plugins, or bad ones. They are played by the shell and by this process, so these checks do not
//! depend on the plugin under test.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};

use crate::kit_host::{
    check::{
        lifecycle::expect_launch_error,
        run::{Check, Run, own},
        verdict::Verdict,
    },
    launching::Launching,
};

pub(crate) const CHECKS: &[Check] = &[
    own!("hostile-silent", silent),
    own!("hostile-exits", exits),
    own!("hostile-half-a-line", half_a_line),
    own!("hostile-banner", banner),
    own!("hostile-binary", binary),
    own!("hostile-endless-line", endless_line),
    own!("hostile-closes-stdout", closes_stdout),
    own!("hostile-other-handshake", other_handshake),
    own!("hostile-other-version", other_version),
    own!("hostile-net-rpc", net_rpc),
    own!("hostile-ignores-mtls", ignores_mtls),
    own!("hostile-unasked-certificate", unasked_certificate),
    own!("hostile-bad-certificate", bad_certificate),
    own!("hostile-no-mux", no_mux),
    own!("hostile-nobody-listens", nobody_listens),
    own!("hostile-accepts-in-silence", accepts_in_silence),
    own!("hostile-talks-nonsense", talks_nonsense),
    own!("hostile-hangs-up", hangs_up),
    own!("hostile-leaves-a-child", leaves_a_child),
    own!("hostile-floods-stderr", floods_stderr),
    own!("missing-program", missing_program),
    own!("not-executable", not_executable),
    own!("not-a-program", not_a_program),
];

async fn silent(_: &Run) -> Verdict {
    refused("exec sleep 60", "rpcplugin::handshake::silent").await
}

async fn exits(_: &Run) -> Verdict {
    refused("echo 'no luck today' >&2; exit 3", "rpcplugin::handshake::exited_early").await
}

async fn half_a_line(_: &Run) -> Verdict {
    refused("printf '1|3|tcp|127.0'", "rpcplugin::handshake::exited_early").await
}

async fn banner(_: &Run) -> Verdict {
    let script = "echo 'Welcome to the plugin!'; exec sleep 60";
    let mut launching = shell(script);
    launching.start_deadline = Duration::from_secs(20);
    expect_launch_error(&launching, NO_LINE).await
}

async fn binary(_: &Run) -> Verdict {
    let launching = shell(r"printf '\000\377\376|\033[31m|||\n'; exec sleep 60");
    expect_launch_error(&launching, NO_LINE).await
}

async fn endless_line(_: &Run) -> Verdict {
    refused("exec tr '\\0' x < /dev/zero", "rpcplugin::handshake::endless_line").await
}

async fn closes_stdout(_: &Run) -> Verdict {
    refused("exec >&-; exec sleep 60", "rpcplugin::handshake::stdout_closed").await
}

async fn other_handshake(_: &Run) -> Verdict {
    expect_launch_error(&says("2|3|tcp|127.0.0.1:1|grpc"), &["rpcplugin::handshake::core_version"]).await
}

async fn other_version(_: &Run) -> Verdict {
    expect_launch_error(&says("1|4|tcp|127.0.0.1:1|grpc"), &["rpcplugin::protocol::version_not_offered"])
        .await
}

async fn net_rpc(_: &Run) -> Verdict {
    expect_launch_error(&says("1|3|tcp|127.0.0.1:1|netrpc"), &["rpcplugin::protocol::net_rpc"]).await
}

async fn ignores_mtls(_: &Run) -> Verdict {
    let mut launching = says("1|3|tcp|127.0.0.1:1|grpc");
    launching.auto_mtls = true;
    expect_launch_error(&launching, &["rpcplugin::security::plugin_ignored_mtls"]).await
}

async fn unasked_certificate(_: &Run) -> Verdict {
    let launching = says(&format!("1|3|tcp|127.0.0.1:1|grpc|{NO_CERTIFICATE}"));
    expect_launch_error(&launching, &["rpcplugin::security::unasked_certificate"]).await
}

async fn bad_certificate(_: &Run) -> Verdict {
    let mut launching = says(&format!("1|3|tcp|127.0.0.1:1|grpc|{NO_CERTIFICATE}"));
    launching.auto_mtls = true;
    let codes = ["rpcplugin::security::plugin_certificate", "rpcplugin::mtls::peer::not_x509"];
    expect_launch_error(&launching, &codes).await
}

async fn no_mux(_: &Run) -> Verdict {
    let mut launching = says("1|3|tcp|127.0.0.1:1|grpc");
    launching.mux = true;
    expect_launch_error(&launching, &["rpcplugin::protocol::no_multiplexing"]).await
}

async fn nobody_listens(_: &Run) -> Verdict {
    let dir = tempfile::tempdir()?;
    let line = format!("1|3|unix|{}|grpc", dir.path().join("nothing").display());
    let codes = ["rpcplugin::transport::cannot_dial", "rpcplugin::transport::unreachable"];
    expect_launch_error(&says(&line), &codes).await
}

async fn accepts_in_silence(_: &Run) -> Verdict {
    // Long enough to be dialled, short of HTTP/2's own patience.
    let late = ["rpcplugin::transport::not_ready", "rpcplugin::transport::silent_peer"];
    listens(&late, async |stream| {
        let _held = stream;
        std::future::pending().await
    })
    .await
}

async fn talks_nonsense(_: &Run) -> Verdict {
    listens(CUT, async |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-nonsense\r\n").await;
    })
    .await
}

async fn hangs_up(_: &Run) -> Verdict {
    listens(CUT, async |stream| drop(stream)).await
}

/// The pipes stay open in a process that nobody knows of.
async fn leaves_a_child(_: &Run) -> Verdict {
    refused("sleep 20 & exit 3", "rpcplugin::handshake::exited_early").await
}

async fn floods_stderr(_: &Run) -> Verdict {
    let script = "head -c 20000000 /dev/zero >&2; head -c 1000000 /dev/zero | tr '\\0' '\\n' >&2; exit 3";
    let mut launching = shell(script);
    launching.start_deadline = Duration::from_secs(30);
    expect_launch_error(&launching, &["rpcplugin::handshake::exited_early"]).await
}

async fn missing_program(_: &Run) -> Verdict {
    let launching = Launching::new(vec!["/nowhere/no-such-plugin".to_owned()]);
    expect_launch_error(&launching, &["rpcplugin::transport::plugin_not_found"]).await
}

async fn not_executable(_: &Run) -> Verdict {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("plugin");
    fs::write(&program, "#!/bin/sh\n")?;
    let launching = Launching::new(vec![program.display().to_string()]);
    expect_launch_error(&launching, &["rpcplugin::transport::plugin_not_executable"]).await
}

async fn not_a_program(_: &Run) -> Verdict {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("plugin");
    fs::write(&program, [0x7f, b'E', b'L', b'F', 0, 0, 0, 0])?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let launching = Launching::new(vec![program.display().to_string()]);
    expect_launch_error(&launching, &["rpcplugin::transport::not_a_program"]).await
}

async fn refused(script: &str, code: &str) -> Verdict {
    expect_launch_error(&shell(script), &[code]).await
}

/// A script in place of a plugin, in plain text and with little patience.
fn shell(script: &str) -> Launching {
    let mut launching = Launching::new(["sh", "-c", script].map(str::to_owned).to_vec());
    launching.auto_mtls = false;
    launching.start_deadline = Duration::from_secs(2);
    launching
}

/// A plugin that prints this line and nothing more.
fn says(line: &str) -> Launching {
    let mut launching = shell(&format!("echo '{line}'; exec sleep 60"));
    launching.start_deadline = Duration::from_secs(10);
    launching
}

/// A plugin that does this with every connection.
async fn listens(codes: &[&str], with: impl AsyncFn(TcpStream)) -> Verdict {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut launching = shell(&format!("echo '1|3|tcp|{}|grpc'; exec sleep 60", listener.local_addr()?));
    launching.start_deadline = Duration::from_secs(3);
    let accepting = async {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                with(stream).await;
            }
        }
    };
    tokio::select! {
        verdict = expect_launch_error(&launching, codes) => verdict,
        never = accepting => never,
    }
}

/// A line that is none.
const NO_LINE: &[&str] = &["rpcplugin::handshake::not_an_answer"];

/// Base64 of some words, long enough to be taken for a certificate.
const NO_CERTIFICATE: &str = "VGhpcyBpcyBub3QgYSBjZXJ0aWZpY2F0ZSwgYnV0IGl0IGlzIGxvbmcgZW5vdWdoIGZvciBvbmU";

/// A connection that was made and came to nothing.
const CUT: &[&str] = &["rpcplugin::transport::not_http2", "rpcplugin::transport::first_call"];
