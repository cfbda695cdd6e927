//! What makes one schedule differ from another.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use fastrand::Rng;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
    time::{Sleep, sleep, timeout},
};

/// The random numbers of one schedule. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Chaos(Arc<Mutex<Rng>>);

/// The longest that a schedule may take by its own clock. A schedule in which nothing can happen any more reaches it at once.
const LONGEST: Duration = Duration::from_secs(3600);

/// The schedules of an ordinary test run.
const FEW: u64 = 150;

/// Runs a scenario in many schedules.
pub(crate) fn explore<F: Future<Output = ()>>(name: &str, scenario: impl Fn(Chaos) -> F) {
    let (count, first) = (number("RPCPLUGIN_SCHEDULES", FEW), number("RPCPLUGIN_SEED", 0));
    let begun = Instant::now();
    for seed in first..first + count {
        let failure = Named { name, seed };
        let mut rng = Rng::with_seed(seed);
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true);
        // How often the scheduler looks at timers, and at tasks that other threads woke.
        builder.event_interval(rng.u32(1..64)).global_queue_interval(rng.u32(1..64));
        let runtime = builder.enable_io().build().unwrap();
        let chaos = Chaos(Arc::new(Mutex::new(rng)));
        runtime.block_on(async {
            assert!(timeout(LONGEST, scenario(chaos)).await.is_ok(), "the schedule does not end");
            let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
            let end = tokio::time::Instant::now() + Duration::from_secs(60);
            while tasks() > 0 && tokio::time::Instant::now() < end {
                sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(tasks(), 0, "tasks are left");
        });
        std::mem::forget(failure);
    }
    println!("{name}: {count} schedules from seed {first}, {:.1?}", begun.elapsed());
}

/// Prints the seed when a schedule fails.
struct Named<'a> {
    name: &'a str,
    seed: u64,
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        println!("{} failed; again: cargo xtask schedules --count 1 --seed {}", self.name, self.seed);
    }
}

#[expect(clippy::disallowed_methods, reason = "the switches of a test")]
fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |number| number.parse().expect("a number"))
}

impl Chaos {
    /// Draws a random value.
    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets other tasks run for a while, or for some time of the clock, or not at all.
    pub(crate) async fn pause(&self) {
        match self.draw(|rng| rng.u8(..4)) {
            0 => {}
            1 => {
                for _ in 0..self.draw(|rng| rng.u8(1..8)) {
                    yield_now().await;
                }
            }
            _ => sleep(self.millis(50)).await,
        }
    }

    /// A random time below this many milliseconds.
    pub(crate) fn millis(&self, below: u64) -> Duration {
        Duration::from_micros(self.draw(|rng| rng.u64(..below * 1000)))
    }

    /// The same stream with interruptions.
    pub(crate) fn disturb<S>(&self, stream: S) -> Disturbed<S> {
        Disturbed {
            stream,
            chaos: self.clone(),
            read: Interruption::default(),
            write: Interruption::default(),
        }
    }
}

/// A stream of bytes that stops, cuts, and waits at random.
pub(crate) struct Disturbed<S> {
    stream: S,
    chaos: Chaos,
    read: Interruption,
    write: Interruption,
}

/// The state of one direction.
#[derive(Default)]
struct Interruption {
    waiting: Option<Pin<Box<Sleep>>>,
    /// Whether the next poll passes.
    has_waited: bool,
}

impl Interruption {
    /// Ready when the operation may be made, with the most bytes that it may carry.
    fn poll(&mut self, chaos: &Chaos, cx: &mut Context<'_>) -> Poll<usize> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(cx));
            (self.waiting, self.has_waited) = (None, true);
        }
        if !std::mem::take(&mut self.has_waited) {
            match chaos.draw(|rng| rng.u8(..8)) {
                // Goes behind the other tasks that are ready.
                0 | 1 => {
                    self.has_waited = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                2 => {
                    let mut waiting = Box::pin(sleep(chaos.millis(20)));
                    if waiting.as_mut().poll(cx).is_pending() {
                        self.waiting = Some(waiting);
                        return Poll::Pending;
                    }
                }
                _ => {}
            }
        }
        Poll::Ready(chaos.draw(|rng| if rng.u8(..4) == 0 { rng.usize(1..40) } else { usize::MAX }))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Disturbed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let most = ready!(this.read.poll(&this.chaos, cx));
        let mut part = buf.take(most.min(buf.remaining()));
        let polled = Pin::new(&mut this.stream).poll_read(cx, &mut part);
        this.read.has_waited |= polled.is_pending();
        let (filled, part) = (part.filled().to_vec(), polled);
        ready!(part)?;
        buf.put_slice(&filled);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Disturbed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let most = ready!(this.write.poll(&this.chaos, cx));
        let polled = Pin::new(&mut this.stream).poll_write(cx, &buf[..most.min(buf.len())]);
        this.write.has_waited |= polled.is_pending();
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
