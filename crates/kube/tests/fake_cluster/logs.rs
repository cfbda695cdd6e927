//! The log of a pod over several requests.

use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::*;
use server::{FakeCluster, Reaction, status_with};

#[tokio::test]
async fn a_log_that_breaks_off_loses_no_line_and_repeats_none() {
    let cluster = FakeCluster::start().await;
    cluster.kubelet_reports(running());
    for lines in [3, 1, 7] {
        cluster.fail("/log?", 1, Reaction::BreakLog(lines));
    }
    cluster.fail("/log?", 1, Reaction::Refuse(500, "the kubelet restarts"));
    let started = start(&pod(&cluster)).await.unwrap();
    let logging = async {
        for number in 0..40 {
            cluster.log(&format!("line {number}"));
            // The same text again is another line.
            if number % 10 == 0 {
                cluster.log(&format!("line {number}"));
            }
            if number % 8 == 0 {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        }
        cluster.set_status(status_with(
            "Succeeded",
            json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
        ));
    };
    let reading = async {
        let mut lines = Vec::new();
        let mut stderr = BufReader::new(started.stderr).lines();
        while let Some(line) = stderr.next_line().await.unwrap() {
            lines.push(line);
        }
        lines
    };
    // Nothing is a handshake line: stdout has to be read, or it holds up the rest.
    let mut stdout = started.stdout;
    let draining = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
    });
    let ((), lines) = tokio::join!(logging, reading);
    let expected: Vec<String> = (0..40)
        .flat_map(|number| vec![format!("line {number}"); if number % 10 == 0 { 2 } else { 1 }])
        .collect();
    assert_eq!(lines, expected);
    draining.await.unwrap();
    let asked = cluster.requests().iter().filter(|one| one.contains("/log?")).count();
    assert!(asked >= 5, "{asked}");
}
