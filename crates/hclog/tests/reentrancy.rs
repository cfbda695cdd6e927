//! Events within the writing of other events. Only a global subscriber receives them, so this test has its own process.

use std::fmt;
use std::sync::{Arc, Mutex};

use rpcplugin_hclog::{HclogLayer, Json, Level, Record};
use serde_json::{Value, json};
use tracing::{error, info};
use tracing_subscriber::prelude::*;

/// Logs while it is formatted, and then fails.
struct Chatty;

impl fmt::Debug for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!(nested = %Json([1]), "inside a value");
        f.write_str("half")?;
        Err(fmt::Error)
    }
}

#[test]
fn an_event_within_a_value_is_written_and_one_within_the_sink_is_not() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&written);
    let sink = move |line: &[u8]| {
        error!("inside the sink");
        Record::new(Level::Error, "inside the sink").write_to(&*collected);
        collected.lock().expect("no test panics here").extend_from_slice(line);
    };
    tracing_subscriber::registry().with(HclogLayer::new(sink)).init();

    let span = tracing::info_span!("span", value = ?Chatty, later = tracing::field::Empty);
    span.record("later", tracing::field::debug(Chatty));
    span.in_scope(|| info!(own = ?Chatty, after = %Json([2]), "outside"));

    let lines: Vec<Value> = serde_json::Deserializer::from_slice(&written.lock().unwrap())
        .into_iter()
        .map(|value| value.unwrap())
        .collect();
    let members: Vec<_> = lines
        .iter()
        .map(|line| ["@message", "nested", "own", "value", "later", "after"].map(|name| line[name].clone()))
        .collect();
    let null = Value::Null;
    let inside =
        || [json!("inside a value"), json!([1]), null.clone(), null.clone(), null.clone(), null.clone()];
    assert_eq!(members[..2], [inside(), inside()], "from the fields of the span");
    // From the field of the event, within the span.
    assert_eq!(
        members[2],
        [json!("inside a value"), json!([1]), null.clone(), json!("half"), json!("half"), null.clone()]
    );
    assert_eq!(members[3], [json!("outside"), null, json!("half"), json!("half"), json!("half"), json!([2])]);
    assert_eq!(members.len(), 4);
}
