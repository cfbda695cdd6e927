//! `kit-host drive`: reads JSON objects, one on each line, and answers each with one.

mod answer;
mod bench;
mod brokered;
mod calls;
mod lifecycle;
mod request;
mod running;
mod slots;

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, stdin, stdout};

use crate::kit_host::drive::{
    answer::{Answer, Failure},
    request::Request,
    slots::Slots,
};

/// Executes each line until the input ends, then shuts down every plugin.
pub(crate) async fn run() -> io::Result<()> {
    let mut lines = BufReader::new(stdin()).split(b'\n');
    let mut out = stdout();
    let mut slots = Slots::default();
    while let Some(line) = lines.next_segment().await? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = match Request::parse(&line) {
            Ok(request) => perform(&mut slots, request).await,
            Err(failure) => Err(failure),
        };
        let mut text = answer::to_json(answer).to_string();
        text.push('\n');
        out.write_all(text.as_bytes()).await?;
        out.flush().await?;
    }
    slots.stop_all().await;
    Ok(())
}

/// Calls the function of the operation.
async fn perform(slots: &mut Slots, request: Request) -> Result<Answer, Failure> {
    let Request { op, plugin, fields } = request;
    match op.as_str() {
        "launch" => lifecycle::launch(slots, &plugin, fields).await,
        "attach" => lifecycle::attach(slots, &plugin, fields).await,
        "reattach_config" => lifecycle::reattach_config(slots.get(&plugin)?, fields),
        "ping" => lifecycle::ping(slots.get(&plugin)?, fields).await,
        "output" => lifecycle::output(slots.get(&plugin)?, fields),
        "events" => lifecycle::events(slots.get(&plugin)?, fields),
        "stop" => lifecycle::stop(slots.get(&plugin)?, fields).await,
        "kill_pid" => lifecycle::kill_pid(slots.get(&plugin)?, fields),
        "wait_exit" => lifecycle::wait_exit(slots.get(&plugin)?, fields).await,
        "callback" => brokered::callback(slots.get(&plugin)?, fields).await,
        "open_sub" => brokered::open_sub(slots.get(&plugin)?, fields).await,
        "close_subs" => brokered::close_subs(slots.get(&plugin)?, fields).await,
        "bench" => bench::bench(slots.get(&plugin)?, fields).await,
        call => calls::call(call, slots, &plugin, fields).await,
    }
}
