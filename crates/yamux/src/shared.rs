//! The state that a session's driver, handles and streams share.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::sync::Notify;

use crate::state::{Event, SessionState};

/// The state of a session, shared by its driver, its handles and its streams.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    /// Notified when a stream can be accepted, and at the end of the session.
    pub(crate) acceptable: Notify,
    /// Notified when a stream may be opened, and when none may be opened any more.
    pub(crate) openable: Notify,
    /// Notified when frames have been written, and at the end of the session.
    pub(crate) written: Notify,
}

/// The state machine and the tasks that wait for it. The lock is held for single steps only, never while waiting.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) state: SessionState,
    /// The streams that the application holds, with their waiting tasks.
    pub(crate) streams: HashMap<u32, StreamWakers>,
    /// Whether all handles are dropped that could open or accept a stream.
    pub(crate) abandoned: bool,
    /// The number of the last frame without data that has been written and flushed.
    pub(crate) control_written: u64,
    /// The tasks that wait for `control_written` to reach the FIN of a stream.
    pub(crate) closers: Vec<Waker>,
    pub(crate) driver: Option<Waker>,
}

impl Inner {
    /// Wakes this task when frames have been written, a stream is reset, or the session ends.
    pub(crate) fn wake_closer(&mut self, waker: &Waker) {
        if !self.closers.iter().any(|closer| closer.will_wake(waker)) {
            self.closers.push(waker.clone());
        }
    }
}

/// The tasks that wait for one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamWakers {
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
}

impl Shared {
    pub(crate) fn new(state: SessionState) -> Self {
        Self {
            inner: Mutex::new(Inner {
                state,
                streams: HashMap::new(),
                abandoned: false,
                control_written: 0,
                closers: Vec::new(),
                driver: None,
            }),
            acceptable: Notify::new(),
            openable: Notify::new(),
            written: Notify::new(),
        }
    }

    /// Locks the state, to read it or to change it in a way for which no task waits.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each step leaves the state consistent, also when a panic ends the step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then wakes the tasks that wait for the change, and the driver if it has work.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        self.change_and_wake(change, |inner| {
            let unused = inner.abandoned && inner.streams.is_empty();
            let has_work = inner.state.has_output() || inner.state.reason().is_some() || unused;
            if has_work { inner.driver.take() } else { None }
        })
    }

    /// Changes the state on behalf of the driver, which need not be woken.
    pub(crate) fn drive<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        self.change_and_wake(change, |_| None)
    }

    fn change_and_wake<R>(
        &self,
        change: impl FnOnce(&mut Inner) -> R,
        driver: impl FnOnce(&mut Inner) -> Option<Waker>,
    ) -> R {
        let mut wakers = Vec::new();
        let mut inner = self.lock();
        let result = change(&mut inner);
        self.deliver_events(&mut inner, &mut wakers);
        if inner.state.is_aborted() {
            wakers.append(&mut inner.closers);
        }
        let driver = driver(&mut inner);
        drop(inner);
        wakers.into_iter().chain(driver).for_each(Waker::wake);
        result
    }

    /// Wakes the driver, because a deadline may have moved.
    pub(crate) fn wake_driver(&self) {
        let driver = self.lock().driver.take();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Notifies or collects the tasks that wait for the latest events.
    fn deliver_events(&self, inner: &mut Inner, wakers: &mut Vec<Waker>) {
        while let Some(event) = inner.state.next_event() {
            match event {
                Event::Opened(_) => self.acceptable.notify_one(),
                Event::Openable => self.openable.notify_one(),
                Event::GoingAway => self.openable.notify_waiters(),
                Event::Data(id) | Event::Finished(id) => {
                    wakers.extend(inner.streams.get_mut(&id).and_then(|stream| stream.reader.take()));
                }
                Event::Writable(id) => {
                    wakers.extend(inner.streams.get_mut(&id).and_then(|stream| stream.writer.take()));
                }
                Event::Reset(id) => {
                    wakers.append(&mut inner.closers);
                    if let Some(stream) = inner.streams.get_mut(&id) {
                        wakers.extend(stream.reader.take());
                        wakers.extend(stream.writer.take());
                    }
                }
                Event::Ended => {
                    wakers.append(&mut inner.closers);
                    for stream in inner.streams.values_mut() {
                        wakers.extend(stream.reader.take());
                        wakers.extend(stream.writer.take());
                    }
                    self.acceptable.notify_waiters();
                    self.openable.notify_waiters();
                    self.written.notify_waiters();
                }
            }
        }
    }
}
