//! The output and the log of a plugin.

use std::time::SystemTime;

use rpcplugin::{hclog::Level, host::LogRecord};

use crate::{
    contract::pattern,
    kit_host::check::{
        run::{Check, Run, own, shared},
        subject::{NOTICED, Subject, unique},
        verdict::{Verdict, expect, fail, same, skip},
    },
    pb::{LogField, LogLineRequest, WriteStdioRequest, log_field::Value},
    support::wait::holds_within,
};

pub(crate) const CHECKS: &[Check] = &[
    shared!("stdio", stdio),
    shared!("stdio-1mib", stdio_1mib),
    shared!("stdio-in-pieces", stdio_in_pieces),
    own!("stdio-until-stop", stdio_until_stop),
    shared!("raw-stderr", raw_stderr),
    shared!("raw-stderr-flood", raw_stderr_flood),
    shared!("raw-stderr-levels", raw_stderr_levels),
    shared!("log-line", log_line),
    shared!("log-line-own-module", log_line_own_module),
    shared!("log-line-in-order", log_line_in_order),
];

/// Some rounds are longer than a pipe or a message, end without a newline, or are empty on one stream.
async fn stdio(subject: &Subject) -> Verdict {
    subject.peer.beyond_pyvider("no forwarded output")?;
    let rounds: [(&[u8], &[u8]); 4] = [
        (b"out\nand no newline", b"err\r\n"),
        (&pattern(200_000, 1), &pattern(150_000, 2)),
        (b"", &[0, 0xff, 0xfe]),
        (b"x", b""),
    ];
    for (stdout, stderr) in rounds {
        write_and_expect(subject, stdout, stderr).await?;
    }
    Ok(())
}

async fn stdio_1mib(subject: &Subject) -> Verdict {
    subject.peer.beyond_pyvider("no forwarded output")?;
    write_and_expect(subject, &pattern(1 << 20, 3), &pattern(1 << 20, 4)).await
}

async fn stdio_in_pieces(subject: &Subject) -> Verdict {
    subject.peer.beyond_pyvider("no forwarded output")?;
    for i in 0..100 {
        write_and_expect(subject, format!("piece {i}").as_bytes(), b"").await?;
    }
    Ok(())
}

/// Output from before the shutdown arrives.
async fn stdio_until_stop(run: &Run) -> Verdict {
    run.peer().beyond_pyvider("no forwarded output")?;
    if run.peer().is_go() {
        return skip("go-plugin closes its connections when it exits");
    }
    let subject = run.launch().await?;
    let (recorder, stdout) = (subject.recorder.clone(), pattern(300_000, 5));
    let request = WriteStdioRequest { stdout: stdout.to_vec(), ..Default::default() };
    subject.kit().write_stdio(request).await?;
    subject.stop_cleanly().await?;
    let arrived = recorder.so_far().stdout == stdout;
    expect(arrived, format!("{} of {} bytes arrived", recorder.so_far().stdout.len(), stdout.len()))
}

async fn write_and_expect(subject: &Subject, stdout: &[u8], stderr: &[u8]) -> Verdict {
    let before = |recorded: &super::super::recorder::Recorded| (recorded.stdout.len(), recorded.stderr.len());
    let (out_from, err_from) = before(&subject.recorder.so_far());
    let request =
        WriteStdioRequest { stdout: stdout.to_vec(), stderr: stderr.to_vec(), raw_stderr: Vec::new() };
    subject.kit().write_stdio(request).await?;
    holds_within(NOTICED, || {
        let recorded = subject.recorder.so_far();
        recorded.stdout.len() >= out_from + stdout.len() && recorded.stderr.len() >= err_from + stderr.len()
    })
    .await;
    let recorded = subject.recorder.so_far();
    for (name, got, wanted) in
        [("stdout", &recorded.stdout[out_from..], stdout), ("stderr", &recorded.stderr[err_from..], stderr)]
    {
        let what = format!("{name}: {} bytes, not the right {}", got.len(), wanted.len());
        expect(got == wanted, what)?;
    }
    Ok(())
}

async fn raw_stderr(subject: &Subject) -> Verdict {
    let line = unique("kit-host asked for this line");
    write_raw(subject, format!("{line}\n")).await?;
    let record = expect_record(subject, &line).await?;
    same("level", record.level, Level::Debug)
}

/// Far more than a pipe holds: the plugin blocks if the host does not read.
async fn raw_stderr_flood(subject: &Subject) -> Verdict {
    let last = unique("last line of the flood");
    let mut flood = String::new();
    for i in 0..2000 {
        flood += &format!("flood {i} {}\n", ".".repeat(1000));
    }
    write_raw(subject, flood + &last + "\n").await?;
    expect_record(subject, &last).await.map(|_| ())
}

/// The levels that the host recognises in lines of text.
async fn raw_stderr_levels(subject: &Subject) -> Verdict {
    for (prefix, level) in [
        ("[TRACE]", Level::Trace),
        ("[DEBUG]", Level::Debug),
        ("[INFO]", Level::Info),
        ("[WARN]", Level::Warn),
        ("[ERROR]", Level::Error),
    ] {
        let name = unique("text with a level");
        write_raw(subject, format!("{prefix} {name}\n")).await?;
        let found =
            || subject.recorder.so_far().logs.iter().rev().find(|log| log.message.contains(&name)).cloned();
        holds_within(NOTICED, || found().is_some()).await;
        same(prefix, found().map(|record| record.level), Some(level))?;
    }
    Ok(())
}

async fn write_raw(subject: &Subject, text: String) -> Verdict {
    let request = WriteStdioRequest { raw_stderr: text.into_bytes(), ..Default::default() };
    subject.kit().write_stdio(request).await?;
    Ok(())
}

async fn log_line(subject: &Subject) -> Verdict {
    for level in [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error] {
        let message = unique("log line");
        let field = |key: &str, value| LogField { key: key.to_owned(), value: Some(value) };
        let request = LogLineRequest {
            level: level.as_str().to_owned(),
            message: message.clone(),
            module: "kit.log-line".to_owned(),
            fields: vec![
                field("text", Value::Text("quoted \"text\"\nключ".to_owned())),
                field("number", Value::Number(-42)),
                field("flag", Value::Flag(true)),
                field("real", Value::Real(2.5)),
            ],
        };
        subject.kit().log_line(request).await?;
        let record = expect_record(subject, &message).await?;
        same("level", record.level, level)?;
        same("module", record.module.as_deref(), Some("kit.log-line"))?;
        for (key, value) in
            [("text", r#""quoted \"text\"\nключ""#), ("number", "-42"), ("flag", "true"), ("real", "2.5")]
        {
            let field = record.fields.iter().find(|(name, _)| name == key);
            same(key, field.map(|(_, value)| &**value), Some(value))?;
        }
        let year = record.timestamp.as_deref().and_then(|text| text.get(..4)?.parse().ok());
        same("year", year, Some(this_year()))?;
    }
    Ok(())
}

async fn log_line_own_module(subject: &Subject) -> Verdict {
    let message = unique("log line without a module");
    let request = LogLineRequest { level: "info".to_owned(), message: message.clone(), ..Default::default() };
    subject.kit().log_line(request).await?;
    same("level", expect_record(subject, &message).await?.level, Level::Info)
}

async fn log_line_in_order(subject: &Subject) -> Verdict {
    let prefix = unique("in order");
    for i in 0..100 {
        let request = LogLineRequest {
            level: "info".to_owned(),
            message: format!("{prefix} {i}"),
            ..Default::default()
        };
        subject.kit().log_line(request).await?;
    }
    expect_record(subject, &format!("{prefix} 99")).await?;
    let recorded = subject.recorder.so_far();
    let ours = recorded.logs.iter().filter(|log| log.message.starts_with(&prefix));
    let wanted = (0..100).map(|i| format!("{prefix} {i}"));
    expect(ours.map(|log| log.message.clone()).eq(wanted), "the lines are in another order")
}

/// Waits for the record with this message.
async fn expect_record(subject: &Subject, message: &str) -> Verdict<LogRecord> {
    let found = || subject.recorder.so_far().logs.iter().rev().find(|log| log.message == message).cloned();
    holds_within(NOTICED, || found().is_some()).await;
    found().map_or_else(|| fail(format!("no record {message:?}")), Ok)
}

/// The year in UTC, as in records. Wrong for a moment at New Year.
fn this_year() -> u64 {
    const AVERAGE_YEAR: u64 = 31_556_952;
    1970 + SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() / AVERAGE_YEAR)
}
