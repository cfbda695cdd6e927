//! Settings of logs and stderr.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use rpcplugin::host::{LogRecord, Observer};
use rpcplugin_tests::{
    pb::WriteStdioRequest,
    support::{
        conformance::{client, plugin},
        scripts::script,
        wait::eventually,
    },
};

use crate::support::{plain, with};

#[tokio::test]
async fn print_logs() {
    let program = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    fs::write(&program, "#!/bin/sh\necho '[WARN] nearly full' >&2; exit 3\n").unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let line = format!("WARN {}: [WARN] nearly full\n", program.file_name().unwrap().to_str().unwrap());
    for (value, prints) in [("true", true), ("false", false)] {
        let host = std::process::Command::new(env!("CARGO_BIN_EXE_settings-host"))
            .arg(&program)
            .env("PLUGIN_PRINT_LOGS", value)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&host.stderr);
        assert_eq!(stderr.contains(&line), prints, "{stderr}");
    }
}

/// An observer of the lengths of records that start with `x`.
#[derive(Clone, Default)]
struct Lengths(Arc<Mutex<Vec<usize>>>);

impl Observer for Lengths {
    fn log(&self, record: &LogRecord) {
        if record.message.starts_with('x') {
            self.0.lock().unwrap().push(record.message.len());
        }
    }
}

#[tokio::test]
async fn log_line_limit() {
    for (limit, pieces) in [("1KiB", 3), ("64KiB", 1)] {
        let lengths = Lengths::default();
        let host = with(&[("PLUGIN_LOG_LINE_LIMIT", limit)]).observe(lengths.clone());
        let plugin = host.launch(plugin(&[])).await.unwrap();
        let raw_stderr = format!("{}\n", "x".repeat(3000)).into();
        client(&plugin)
            .write_stdio(WriteStdioRequest { raw_stderr, ..WriteStdioRequest::default() })
            .await
            .unwrap();
        let total = || lengths.0.lock().unwrap().iter().sum::<usize>();
        eventually("the line is logged", || total() >= 3000).await;
        assert_eq!(lengths.0.lock().unwrap().len(), pieces, "{limit}");
    }
}

/// The number of kept lines of a plugin that wrote ten lines of fifty bytes.
async fn tail(variables: &[(&str, &str)]) -> usize {
    let writes = "for i in 0 1 2 3 4 5 6 7 8 9; do printf '%049d\\n' $i >&2; done; exit 1";
    plain(variables).launch(script(writes)).await.unwrap_err().facts().stderr.len()
}

#[tokio::test]
async fn stderr_tail_lines() {
    assert_eq!(tail(&[]).await, 10);
    assert_eq!(tail(&[("PLUGIN_STDERR_TAIL_LINES", "3")]).await, 3);
}

#[tokio::test]
async fn stderr_tail_bytes() {
    let kept = tail(&[("PLUGIN_STDERR_TAIL_BYTES", "120")]).await;
    assert!((1..=2).contains(&kept), "{kept}");
}
