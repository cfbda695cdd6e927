//! The messages of a peer's broker, in any order with the other events of a broker.
#![no_main]

use libfuzzer_sys::{
    arbitrary::{Result, Unstructured},
    fuzz_target,
};
use prost::Message as _;
use rpcplugin_broker::fuzzing::{Event, run};
use rpcplugin_proto::{ConnInfo, Knock};

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Unstructured::new(bytes);
    let multiplexed = bytes.arbitrary().unwrap_or_default();
    let mut events = vec![Event::OpenLink, Event::LinkUp(0)];
    while let Ok(event) = event(&mut bytes) {
        events.push(event);
    }
    run(multiplexed, events);
});

fn event(bytes: &mut Unstructured<'_>) -> Result<Event> {
    if bytes.is_empty() {
        return Err(libfuzzer_sys::arbitrary::Error::NotEnoughData);
    }
    Ok(match bytes.int_in_range(0..=21)? {
        0 => Event::OpenLink,
        1 => Event::LinkUp(link(bytes)?),
        2 => Event::CloseLink(link(bytes)?, bytes.int_in_range(0..=2)?),
        3 => Event::Send(link(bytes)?),
        4 => Event::Serve(id(bytes)?),
        5 => Event::Stop,
        6 => Event::Claim(id(bytes)?),
        7 => Event::RequestStream(id(bytes)?),
        8 => Event::Progress,
        9 => Event::Cancel,
        10 => Event::StreamOpened,
        11 => Event::Route,
        12 => Event::NewSession,
        13 => Event::TimePasses(bytes.int_in_range(0..=120_000)?),
        14 => Event::RequestMainStream,
        15 => Event::SetPolicy(link(bytes)?, bytes.arbitrary()?),
        16 | 17 => {
            let message: &[u8] = bytes.arbitrary()?;
            Event::Receive(link(bytes)?, ConnInfo::decode(message).unwrap_or_default())
        }
        _ => {
            let knock = if bytes.arbitrary()? {
                let (knock, ack) = bytes.arbitrary()?;
                Some(Knock { knock, ack, error: bytes.arbitrary()? })
            } else {
                None
            };
            let network = (*bytes.choose(&["unix", "tcp", ""])?).to_owned();
            let address = bytes.arbitrary()?;
            Event::Receive(link(bytes)?, ConnInfo { service_id: id(bytes)?, network, address, knock })
        }
    })
}

fn link(bytes: &mut Unstructured<'_>) -> Result<usize> {
    bytes.int_in_range(0..=3)
}

/// One of a few ids, so that ids repeat. Some are well-known.
fn id(bytes: &mut Unstructured<'_>) -> Result<u32> {
    Ok(*bytes.choose(&[0, 1, 2, 3, 0x8000_0000, 4_000_000_000])?)
}
