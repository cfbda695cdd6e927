//! Small pieces of work whose instructions `cargo xtask instructions` counts under valgrind.
//!
//! Without an argument it prints the names of all pieces, one in a line; with a name it does that piece twice: once to
//! have behind it what is done once in a process, and once in [`counted_by_callgrind`]. It measures nothing by itself,
//! and runs without valgrind as well. Inputs are the same every time and are made beforehand.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program that talks to its caller")]

mod broker;
mod calls;
mod channel;
mod handshake;
mod log;

use std::process::ExitCode;

/// Work that is ready to be done: [`TIMES`] times the same.
type Work = Box<dyn FnOnce()>;

/// Its name, and how it is made ready.
type Piece = (&'static str, fn() -> Work);

/// How often a piece is done: `cargo xtask instructions` divides by it. Often enough that what a growing vector or a
/// hash table does now and then is spread evenly.
const TIMES: usize = 64;

fn main() -> ExitCode {
    let pieces = || {
        [handshake::PIECES, log::PIECES, broker::PIECES, calls::PIECES, channel::PIECES].into_iter().flatten()
    };
    let Some(wanted) = std::env::args().nth(1) else {
        println!("times {TIMES}");
        pieces().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let Some((_, prepare)) = pieces().find(|(name, _)| *name == wanted) else {
        eprintln!("there is no piece of work called {wanted}");
        return ExitCode::FAILURE;
    };
    prepare()();
    counted_by_callgrind(prepare());
    ExitCode::SUCCESS
}

/// Instructions count while this runs, by its name.
#[inline(never)]
fn counted_by_callgrind(work: Work) {
    work();
}

/// Work that needs no input of its own.
fn repeat<R>(mut once: impl FnMut() -> R + 'static) -> Work {
    Box::new(move || {
        for _ in 0..TIMES {
            std::hint::black_box(once());
        }
    })
}

/// Work that uses up its input.
fn consume<I: 'static, R>(input: impl FnMut() -> I, mut once: impl FnMut(I) -> R + 'static) -> Work {
    let inputs: Vec<I> = std::iter::repeat_with(input).take(TIMES).collect();
    Box::new(move || {
        for input in inputs {
            std::hint::black_box(once(input));
        }
    })
}
