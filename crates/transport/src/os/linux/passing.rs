//! Sockets that are passed from process to process.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net,
    },
    process::Stdio,
};

use rustix::{
    io::{Errno, ioctl_fionbio},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, send,
        sendmsg, socketpair,
    },
    stdio,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::UnixStream,
};

use crate::os::unix::descriptors::async_fd;

/// One end of a pair of sockets over which the ends of other sockets are passed. Each message is a number and a descriptor.
#[derive(Debug)]
pub(crate) struct Passing(AsyncFd<OwnedFd>);

/// The end of a [`Passing`] before it is used.
#[derive(Debug)]
pub(crate) struct PassingEnd(OwnedFd);

/// The outcome of a receive.
#[derive(Debug)]
pub(crate) enum Received {
    /// The number and the end of a socket.
    Socket(u32, PassedSocket),
    /// The descriptor of a message is lost, most often because this process has too many.
    Lost,
    /// The other end is closed.
    End,
}

/// The end of a socket that was received.
#[derive(Debug)]
pub(crate) struct PassedSocket(OwnedFd);

/// The stdout of a process that is about to be started, with the end of a [`Passing`] waiting in it.
#[derive(Debug)]
pub(crate) struct Carrier {
    /// The end of the process.
    pub(crate) stdout: Stdio,
    /// The end of this process, from which it reads.
    pub(crate) reader: UnixStream,
    /// The end of this process, whose other end waits.
    pub(crate) passing: PassingEnd,
}

impl Carrier {
    /// Makes a socket for the stdout of a process, and puts the end of a [`Passing`] into it, in a message of this text. Each
    /// descriptor of this process is closed in every process that it starts.
    ///
    /// # Errors
    /// When the system is out of descriptors or memory.
    ///
    /// # Panics
    /// Panics outside a tokio runtime.
    pub(crate) fn new(text: &str) -> io::Result<Self> {
        let (reader, stdout) = pair(SocketType::STREAM, SocketFlags::empty())?;
        // Only this end: a program expects that its stdout blocks.
        ioctl_fionbio(&reader, true)?;
        let (ours, theirs) = pair(SocketType::SEQPACKET, SocketFlags::NONBLOCK)?;
        pass(reader.as_fd(), text.as_bytes(), theirs.as_fd())?;
        let reader = UnixStream::from_std(reader.into())?;
        Ok(Self { stdout: stdout.into(), reader, passing: PassingEnd(ours) })
    }
}

/// Takes the end of a [`Passing`] that waits in the stdout of this process, in a message of this text. `None` if stdout is not a
/// socket or nothing of the kind waits there.
pub(crate) fn take_from_stdout(text: &str) -> Option<PassingEnd> {
    let mut message = [0; LONGEST_TEXT];
    let (length, end, _) = take(stdio::stdout(), &mut message).ok()?;
    (message.get(..length) == Some(text.as_bytes())).then_some(PassingEnd(end?))
}

/// Makes a connected pair of sockets: one end to use here, and one to pass.
pub(crate) fn connected() -> io::Result<(UnixStream, PassedSocket)> {
    let (near, far) = pair(SocketType::STREAM, SocketFlags::NONBLOCK)?;
    Ok((UnixStream::from_std(near.into())?, PassedSocket(far)))
}

impl Passing {
    /// Uses this end.
    ///
    /// # Panics
    /// Panics outside a tokio runtime.
    pub(crate) fn new(end: PassingEnd) -> io::Result<Self> {
        ioctl_fionbio(&end.0, true)?;
        async_fd(end.0, Interest::READABLE | Interest::WRITABLE).map(Self)
    }

    /// Passes a socket to the other process.
    ///
    /// # Errors
    /// `BrokenPipe` or `ConnectionReset` when the other end is closed.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket, or the socket has been passed.
    pub(crate) async fn send(&self, number: u32, socket: PassedSocket) -> io::Result<()> {
        let message = number.to_le_bytes();
        self.0.async_io(Interest::WRITABLE, |passing| pass(passing.as_fd(), &message, socket.0.as_fd())).await
    }

    /// Returns the next socket that the other process passes.
    ///
    /// # Cancel safety
    /// No socket is lost.
    pub(crate) async fn receive(&self) -> io::Result<Received> {
        loop {
            let mut message = [0; 4];
            let received =
                self.0.async_io(Interest::READABLE, |passing| take(passing.as_fd(), &mut message)).await?;
            return Ok(match received {
                (_, _, true) => Received::Lost,
                (0, None, _) => Received::End,
                (4, Some(socket), _) => Received::Socket(u32::from_le_bytes(message), PassedSocket(socket)),
                // Not a message of this library.
                _ => continue,
            });
        }
    }
}

impl PassedSocket {
    /// Writes one byte, for which there is room in a socket that was not used before.
    pub(crate) fn acknowledge(&self) -> io::Result<()> {
        send(&self.0, &[1], SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Uses the socket.
    ///
    /// # Panics
    /// Panics outside a tokio runtime.
    pub(crate) fn into_stream(self) -> io::Result<UnixStream> {
        let stream = net::UnixStream::from(self.0);
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    }
}

/// Makes a pair of sockets that no started process inherits.
fn pair(kind: SocketType, flags: SocketFlags) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, kind, flags | SocketFlags::CLOEXEC, None)?)
}

/// Sends a message with a descriptor.
fn pass(to: BorrowedFd<'_>, message: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    // There is room for one descriptor.
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    match sendmsg(to, &[IoSlice::new(message)], &mut control, flags)? {
        length if length == message.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Receives a message: its length, its descriptor, and whether a descriptor was lost.
fn take(from: BorrowedFd<'_>, message: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>, bool)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = loop {
        match recvmsg(from, &mut [IoSliceMut::new(message)], &mut control, flags) {
            Err(Errno::INTR) => {}
            // The other process has closed its end and not read all that was sent.
            Err(Errno::CONNRESET) => return Ok((0, None, false)),
            received => break received?,
        }
    };
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((received.bytes, descriptor, received.flags.contains(ReturnFlags::CTRUNC)))
}

/// Longer than any text that a host puts into the stdout of a plugin.
const LONGEST_TEXT: usize = 64;

#[cfg(test)]
impl PassingEnd {
    /// Makes both ends.
    pub(crate) fn both() -> io::Result<(Self, Self)> {
        let (one, other) = pair(SocketType::SEQPACKET, SocketFlags::NONBLOCK)?;
        Ok((Self(one), Self(other)))
    }

    /// Sends bytes without a descriptor.
    pub(crate) fn send_raw(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(&self.0, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
    }
}
