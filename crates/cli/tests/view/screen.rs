//! The program on a pseudo-terminal of its own session, and what is on the screen.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, open},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Action, LocalModes, Winsize, tcflow, tcgetattr, tcsetwinsize},
};
use tempfile::TempDir;

use crate::program::eventually;

/// The cookie of the conformance plugins, as an argument.
pub(crate) const COOKIE: &str = "CONFORMANCE_KIT_COOKIE=b1d0c9a6-conformance";

/// A run of the program.
pub(crate) struct Screen {
    terminal: File,
    /// Whether the reader ends at its next read.
    closes: Arc<AtomicBool>,
    shown: Arc<Mutex<Shown>>,
    reader: Option<JoinHandle<()>>,
    child: Child,
    tmp: TempDir,
}

struct Shown {
    parser: vt100::Parser,
    sent: Vec<u8>,
}

impl Screen {
    /// Runs `run --ui` with these arguments.
    pub(crate) fn start(args: &[&str], plugin: &Path) -> Self {
        Self::start_with(args, plugin, &[])
    }

    /// Runs `run --ui` with these arguments and variables.
    pub(crate) fn start_with(args: &[&str], plugin: &Path, variables: &[(&str, &str)]) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        set_size(&terminal, 24, 100);
        let path = ptsname(&terminal, Vec::new()).unwrap();
        let end = || Stdio::from(open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap());
        let tmp = tempfile::Builder::new().prefix("rp").tempdir().unwrap();
        // The terminal becomes that of the program, so that a signal reports another size.
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(env!("CARGO_BIN_EXE_rpcplugin"))
            .args(["run", "--ui"])
            .args(if args.contains(&"--cookie") { &[][..] } else { &["--cookie", COOKIE] })
            .args(args)
            .arg(plugin)
            .env("TERM", "xterm-256color")
            .env("TMPDIR", tmp.path())
            .env_remove("RPCPLUGIN_COOKIE")
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR")
            .envs(variables.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let shown = Shown { parser: vt100::Parser::new(24, 100, 0), sent: Vec::new() };
        let shown = Arc::new(Mutex::new(shown));
        let terminal = File::from(terminal);
        let closes = Arc::new(AtomicBool::new(false));
        let reader = thread::spawn({
            let (mut terminal, shown, closes) =
                (terminal.try_clone().unwrap(), shown.clone(), closes.clone());
            move || {
                let mut bytes = [0; 4096];
                // Reading fails when the last end of the terminal is closed.
                while let Ok(length @ 1..) = terminal.read(&mut bytes) {
                    let mut shown = shown.lock().unwrap();
                    shown.parser.process(&bytes[..length]);
                    shown.sent.extend_from_slice(&bytes[..length]);
                    if closes.load(Ordering::Relaxed) {
                        return;
                    }
                }
            }
        });
        Self { terminal, closes, shown, reader: Some(reader), child, tmp }
    }

    /// Types keys.
    pub(crate) fn press(&self, keys: &str) {
        (&self.terminal).write_all(keys.as_bytes()).unwrap();
    }

    /// What is on the screen.
    pub(crate) fn text(&self) -> String {
        self.shown.lock().unwrap().parser.screen().contents()
    }

    /// Everything that was sent to the terminal.
    pub(crate) fn sent(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap().sent).into_owned()
    }

    /// Waits until the screen has all of these texts.
    #[track_caller]
    pub(crate) fn shows(&self, texts: &[&str]) -> String {
        self.until(|screen| texts.iter().all(|text| screen.contains(text)), &format!("{texts:?}"))
    }

    /// Waits until the screen has this property.
    #[track_caller]
    pub(crate) fn until(&self, has: impl Fn(&str) -> bool, what: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let text = self.text();
            if has(&text) {
                return text;
            }
            assert!(Instant::now() < deadline, "no {what} on the screen:\n{text}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a plugin runs whose process is not `other`. Returns its pid.
    #[track_caller]
    pub(crate) fn plugin(&self, other: Option<i32>) -> i32 {
        let screen = self.until(|text| pid(text).is_some_and(|pid| Some(pid) != other), "running plugin");
        pid(&screen).unwrap()
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        self.shown.lock().unwrap().parser.screen_mut().set_size(rows, columns);
        set_size(&self.terminal, rows, columns);
    }

    /// Whether the terminal has its own modes: the main screen with a cursor, lines and echo.
    pub(crate) fn is_restored(&self) -> bool {
        let shown = self.shown.lock().unwrap();
        let screen = shown.parser.screen();
        !screen.alternate_screen() && !screen.hide_cursor() && self.has_modes_restored()
    }

    /// Whether the terminal has its own modes of input.
    pub(crate) fn has_modes_restored(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// Whether the view has the terminal.
    pub(crate) fn is_taken(&self) -> bool {
        let shown = self.shown.lock().unwrap();
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        shown.parser.screen().alternate_screen() && !modes.contains(LocalModes::ICANON)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Closes the terminal, and waits for the end of the program. Returns its exit code.
    #[track_caller]
    pub(crate) fn close(mut self) -> Option<i32> {
        self.closes.store(true, Ordering::Relaxed);
        // The view shows each second that passes.
        self.reader.take().unwrap().join().unwrap();
        self.terminal = File::open("/dev/null").unwrap();
        let status = eventually(|| self.child.try_wait().unwrap());
        self.leaves_nothing();
        status.code()
    }

    /// Has the terminal take nothing until it is [released](Self::release), as with Ctrl-S. Returns the end of the program, which keeps
    /// the terminal as it is.
    pub(crate) fn hold(&self) -> File {
        let path = ptsname(&self.terminal, Vec::new()).unwrap();
        let end = open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        tcflow(&end, Action::OOff).unwrap();
        end.into()
    }

    /// Has a held terminal take what is written.
    pub(crate) fn release(end: &File) {
        tcflow(end, Action::OOn).unwrap();
    }

    /// Waits for the end of the program on a terminal that takes nothing. Its modes are as they were before, and no file is left. Returns
    /// the exit code.
    #[track_caller]
    pub(crate) fn end_on_held(mut self, end: File) -> Option<i32> {
        let status = eventually(|| self.child.try_wait().unwrap());
        assert!(self.has_modes_restored());
        drop(end);
        self.reader.take().unwrap().join().unwrap();
        self.leaves_nothing();
        status.code()
    }

    fn leaves_nothing(&self) {
        let left: Vec<_> =
            std::fs::read_dir(self.tmp.path()).unwrap().flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "{left:?} is left");
    }

    /// Waits for the end of the program. The terminal is as it was before, and no file is left. Returns the exit code, and what is on the
    /// screen.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let status = eventually(|| self.child.try_wait().unwrap());
        // No process has the terminal open any more.
        self.reader.take().unwrap().join().unwrap();
        assert!(self.is_restored(), "{:?}", self.sent());
        self.leaves_nothing();
        (status.code(), self.text())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process exists. A zombie does not.
pub(crate) fn is_alive(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// The state of a process.
pub(crate) fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The pid in the head of the view.
fn pid(text: &str) -> Option<i32> {
    let head = text.lines().next()?;
    let (_, rest) = head.split_once("  process ")?;
    rest.split(' ').next()?.parse().ok()
}

fn set_size(terminal: &impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap();
}
