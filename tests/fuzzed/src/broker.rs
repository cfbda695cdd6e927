//! The broker. The state that it keeps is bounded, and its answers are right: `rpcplugin_broker::fuzzing::run` checks both.

use prost::Message as _;
use rpcplugin_broker::fuzzing::{Event, run};
use rpcplugin_proto::{ConnInfo, Knock};

use crate::input::{Input, text};

/// The messages of a peer's broker, in any order with the other events of a broker.
pub(crate) fn broker(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let multiplexed = input.flag();
    let mut events = vec![Event::OpenLink, Event::LinkUp(0)];
    while !input.is_empty() {
        events.push(event(&mut input));
    }
    run(multiplexed, events);
}

fn event(input: &mut Input<'_>) -> Event {
    match input.byte() % 22 {
        0 => Event::OpenLink,
        1 => Event::LinkUp(link(input)),
        2 => Event::CloseLink(link(input), input.byte() % 3),
        3 => Event::Send(link(input)),
        4 => Event::Serve(id(input)),
        5 => Event::Stop,
        6 => Event::Claim(id(input)),
        7 => Event::RequestStream(id(input)),
        8 => Event::Progress,
        9 => Event::Cancel,
        10 => Event::StreamOpened,
        11 => Event::Route,
        12 => Event::NewSession,
        13 => Event::TimePasses(u64::from(input.byte()) * 500),
        14 => Event::RequestMainStream,
        15 => Event::SetPolicy(link(input), input.flag()),
        16 | 17 => Event::Receive(link(input), ConnInfo::decode(input.piece()).unwrap_or_default()),
        _ => {
            let link = link(input);
            let service_id = id(input);
            let form = input.byte();
            let knock = Knock { knock: form & 1 != 0, ack: form & 2 != 0, error: text(input.piece()) };
            let knock = (form & 4 != 0).then_some(knock);
            let network = ["unix", "tcp", "", "inherited"][usize::from(form >> 3 & 3)].to_owned();
            Event::Receive(link, ConnInfo { service_id, network, address: text(input.piece()), knock })
        }
    }
}

fn link(input: &mut Input<'_>) -> usize {
    usize::from(input.byte() % 4)
}

/// One of a few ids, so that ids repeat. Some are well-known.
fn id(input: &mut Input<'_>) -> u32 {
    [0, 1, 2, 3, 0x8000_0000, 4_000_000_000][usize::from(input.byte() % 6)]
}
